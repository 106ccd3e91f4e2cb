"""The page: data, style and script in one file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.comparison import Comparison, compare
from cwm_trace.records import Trace
from cwm_trace.rendering.html import html_part
from cwm_trace.rendering.views import tables_of
from cwm_trace.rendering.wording import comparison_sentences, trace_sentences
from cwm_trace.viewer.columns import BLOCK, pack, pack_guess, pack_trace
from cwm_trace.viewer.markup import html_page, read_asset

MAX_GUESSES = 9
"""Predictions on one page: each has a digit key."""
_SCRIPTS = ("data.js", "walk.js", "text.js", "panes.js", "lists.js", "plot.js", "main.js")


def view_page(
    trace: Trace,
    guesses: Sequence[Trace] = (),
    *,
    title: str = "",
    labels: Sequence[str] = (),
    comparisons: Sequence[Comparison] | None = None,
) -> str:
    """A page to step through an execution, with predictions of it beside it.

    Args:
        trace: real, or a prediction to be looked at alone.
        guesses: predictions of `trace`, `MAX_GUESSES` at most.
        title: of the page; by default the program's name.
        labels: what the predictions are called; by default by their models and modes.
        comparisons: of the guesses with the trace, if they are at hand.

    Returns:
        HTML, in which texts of the program are data, never markup or script.

    Raises:
        CwmTraceError: there is no frame, too many predictions, or one of another program.
    """
    if not trace.frames:
        raise CwmTraceError("the trace has no frames: there is nothing to view")
    if len(guesses) > MAX_GUESSES:
        raise CwmTraceError(f"{len(guesses)} predictions do not fit on a page: give {MAX_GUESSES} at most")
    if comparisons is None:
        comparisons = [compare(trace, guess) for guess in guesses]
    names = list(labels) or [_label(guess) for guess in guesses]
    packed = [pack_trace(trace), *(pack_guess(comparison, trace) for comparison in comparisons)]
    title = title or (trace.files[0].name if trace.files else "trace")
    head = {
        "title": title,
        "block": BLOCK,
        "files": [{"name": file.name, "text": file.text} for file in trace.files],
        "sides": [
            {"label": _label(trace), "says": trace_sentences(trace), **packed[0].index},
            *(
                {"label": name, "says": [*comparison_sentences(comparison), *_facts(guess)], **side.index}
                for name, comparison, guess, side in zip(names, comparisons, guesses, packed[1:], strict=True)
            ),
        ],
    }
    table = html_part(tables_of(comparisons[0] if comparisons else trace))
    body = f"{read_asset('body.html')}\n<noscript><h1>{escape(title)}</h1>{table}</noscript>"
    data = [("head", pack(head))]
    for side, part in enumerate(packed):
        data += [(f"b{side}-{number}", block) for number, block in enumerate(part.blocks)]
    script = "\n".join(['"use strict";(() => {', *map(read_asset, _SCRIPTS), "})();"])
    return html_page(title, body, style=read_asset("view.css"), script=script, data=data)


def _label(trace: Trace) -> str:
    if not trace.guess.mode:
        return "real"
    model = trace.guess.decoding and (trace.guess.decoding.model or trace.guess.decoding.predictor)
    return f"{(model or 'predicted').rstrip('/').rpartition('/')[2]}, {trace.guess.mode}"


def _facts(guess: Trace) -> list[str]:
    """How the prediction was made."""
    decoding = guess.guess.decoding
    made = [] if decoding is None or not decoding.grammar else [f"grammar        {decoding.grammar}"]
    return [f"ended          {guess.outcome.value}", *made]

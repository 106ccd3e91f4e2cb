"""Traces and comparisons as HTML tables, for notebooks: `Trace` and `Comparison` show themselves with this.

Program text and values are escaped; nothing of them becomes markup. There are no scripts and no links.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from cwm_trace.records import Event, Frame, State, Trace
from cwm_trace.rendering.wording import (
    EVENT_WORDS,
    comparison_sentences,
    short_text,
    shown_slot,
    trace_sentences,
)
from cwm_trace.states import resolve_states

if TYPE_CHECKING:
    from cwm_trace.eval.comparison import Comparison
    from cwm_trace.eval.comparison.alignment import Pair

SHOWN_FRAMES = 200
_STYLE = (
    "<style>.cwm-trace td,.cwm-trace th{text-align:left!important;vertical-align:top!important;"
    "padding:1px 8px!important;font-family:monospace;white-space:pre-wrap!important}"
    ".cwm-trace .wrong{color:#c00}.cwm-trace .right{color:#080}"
    ".cwm-trace .given{opacity:.55}.cwm-trace tr.first{outline:2px solid #c00}"
    ".cwm-trace .changed{font-weight:bold}.cwm-trace .same{opacity:.6}</style>"
)


def trace_html(trace: Trace) -> str:
    """A row for each frame, 200 at most: the line, and the variables before it runs."""
    states = resolve_states(trace.frames)
    rows = [
        _row(
            [
                *_place(index, frame),
                _content(frame, states[index], () if frame.event is Event.CALL else frame.changed),
            ],
            "given" if index < trace.guess.given else "",
        )
        for index, frame in enumerate(trace.frames[:SHOWN_FRAMES])
    ]
    heads = ("#", "line", "", "source", "variables before the line runs")
    return _document(heads, rows, len(trace.frames), 0, trace_sentences(trace))


def comparison_html(comparison: Comparison) -> str:
    """Real and predicted frames side by side, 200 at most, the first wrong one among them and marked."""
    first = comparison.first_divergence
    start = max(0, first.index - SHOWN_FRAMES // 2) if first is not None else 0
    real_states = resolve_states(comparison.real.frames)
    predicted_states = resolve_states(comparison.predicted.frames)
    rows = []
    for pair in comparison.pairs[start : start + SHOWN_FRAMES]:
        frame = pair.real or pair.predicted
        if frame is None:
            continue
        is_first = first is not None and first.index == pair.index
        real = "" if pair.real is None else _changes(pair.real, real_states[pair.index], pair)
        mark = "" if pair.given else _span("✓", "right") if pair.exact else _span("✗", "wrong")
        if is_first:
            mark = _span("✗ first wrong step", "wrong")
        cells = [*_place(pair.index, frame), real, _predicted(pair, predicted_states), mark]
        rows.append(_row(cells, "given" if pair.given else "first" if is_first else ""))
    heads = ("#", "line", "", "source", "really", "predicted", "")
    return _document(heads, rows, len(comparison.pairs), start, comparison_sentences(comparison))


def _document(heads: Iterable[str], rows: list[str], total: int, start: int, sentences: Iterable[str]) -> str:
    parts = [
        '<div class="cwm-trace">',
        _STYLE,
        "<table><thead>",
        _row([escape(head) for head in heads], cell="th"),
        "</thead><tbody>",
        *rows,
        "</tbody></table>",
    ]
    if len(rows) < total:
        parts.append(f"<p>frames {start} to {start + len(rows) - 1} of {total} are shown</p>")
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    return "".join([*parts, "</div>"])


def _row(cells: Iterable[str], kind: str = "", *, cell: str = "td") -> str:
    inner = "".join(f'<{cell} style="text-align:left">{content}</{cell}>' for content in cells)
    return f'<tr class="{kind}">{inner}</tr>' if kind else f"<tr>{inner}</tr>"


def _span(text: str, kind: str) -> str:
    return f'<span class="{kind}">{escape(text)}</span>'


def _place(index: int, frame: Frame) -> tuple[str, str, str, str]:
    text = short_text(frame.source.rstrip())
    bare = text.lstrip(" ")
    source = "\u00a0" * (len(text) - len(bare)) + escape(bare)  # a notebook's style sheet drops spaces
    return str(index), str(frame.line or ""), escape(EVENT_WORDS[frame.event]), source


def _content(
    frame: Frame,
    state: State | None,
    changed: Collection[str],
    wrong: Collection[str] = (),
    *,
    marks_wrong: bool = False,
) -> str:
    if state is None:
        return "" if frame.value is None else escape(f"→ {short_text(frame.value.text)}")
    parts = []
    for name, slot in state.items():
        kind = "wrong" if name in wrong else "changed" if name in changed else "same"
        is_wrong = marks_wrong and name in wrong
        parts.append(_span(shown_slot(name, slot, changed=name in changed, wrong=is_wrong), kind))
    return "  ".join(parts)


def _changes(frame: Frame, state: State | None, pair: Pair, *, predicted: bool = False) -> str:
    """Like `_content`, without the variables that neither changed nor are wrong."""
    names = {*pair.real_changes, *pair.predicted_changes, *pair.wrong}
    shown = None if state is None else {name: slot for name, slot in state.items() if name in names}
    marked = () if frame.event is Event.CALL else frame.changed
    return _content(frame, shown, marked, pair.wrong, marks_wrong=predicted)


def _predicted(pair: Pair, states: Sequence[State | None]) -> str:
    if pair.given:
        return "(given)"
    frame = pair.predicted
    if frame is None:
        return _span("(nothing)", "wrong")
    content = _changes(frame, states[pair.index], pair, predicted=True)
    real = pair.real
    if real is not None and frame.event is real.event and frame.source == real.source:
        return content
    where = f"{EVENT_WORDS[frame.event]} {frame.line or ''}".strip()
    return f"{_span(f'[{where}: {short_text(frame.source.strip())}]', 'wrong')} {content}"

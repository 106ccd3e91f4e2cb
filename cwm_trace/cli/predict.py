"""`cwm-trace predict`: say what a program will do, without running it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cwm_trace.predict.registry import DEFAULT
from cwm_trace.records import GRAMMARS

if TYPE_CHECKING:
    from cwm_trace.records import Decoding

MODEL_HELP = "mini, which is bundled; a folder, hf:FOLDER_OR_ID, http://HOST:PORT; a baseline (copy, …)."
_MODE_HELP = "free, forced, forced-event, forced-state, reground-K, output or step-over-D."


def split(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """The texts of an option that may be repeated, and that may hold several with commas between them."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


_LEVELS = "none: anything goes; frame: every frame is valid; flow: and a step that Python can take.  "


def _decode_options_of_one(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how a model chooses its tokens; the command gets them as one `decoding`."""
    grammar = click.option(
        "--grammar",
        type=click.Choice(GRAMMARS),
        help=f"{_LEVELS}[default: with our own engine flow]",
    )

    @functools.wraps(command)
    def one(*, decodings: list[Decoding], **arguments: Any) -> None:
        command(decoding=decodings[0], **arguments)

    return _decode_options(one, grammar)


def decode_options_of_levels(command: Callable[..., None]) -> Callable[..., None]:
    """The same, with a grammar of several levels; the command gets a list of `decodings`, one for each."""
    grammar = click.option(
        "--grammar",
        multiple=True,
        callback=_split_levels,
        metavar="LEVEL,…",
        help=f"{_LEVELS}Several are models beside each other.  [default: frame]",
    )
    return _decode_options(command, grammar)


def draw_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a served model that answers in words; the command gets them as one `decoding`."""

    @functools.wraps(command)
    def collected(
        *, temperature: float, top_p: float, seed: int, max_new_tokens: int | None, **arguments: Any
    ) -> None:
        from cwm_trace.records import Decoding

        decoding = Decoding(temperature=temperature, top_p=top_p, seed=seed, max_new_tokens=max_new_tokens)
        command(decoding=decoding, **arguments)

    for option in reversed([*_DRAWS, _CUT]):
        collected = option(collected)
    return collected


_DRAWS = [
    click.option("--temperature", type=click.FloatRange(0), default=0.0, help="0, the default: greedy."),
    click.option(
        "--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Mass to draw from."
    ),
    click.option("--seed", type=int, default=0, help="Of the draws."),
]
_CUT = click.option("--max-new-tokens", type=click.IntRange(1), help="Cut a rollout after so many tokens.")


def _split_levels(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> list[str] | None:
    levels = split(context, option, values)
    for level in levels:
        if level not in GRAMMARS:
            raise click.BadParameter(f"{level!r} is none of {', '.join(GRAMMARS)}.", context, option)
    return [*dict.fromkeys(levels)] or None


def _decode_options(command: Callable[..., None], grammar: Callable[..., Any]) -> Callable[..., None]:
    options = [
        grammar,
        click.option("--constrained", "old_level", flag_value="frame", help="Old name of --grammar frame."),
        click.option("--unconstrained", "old_level", flag_value="none", help="Old name of --grammar none."),
        *_DRAWS,
        click.option("--logprobs", is_flag=True, help="Keep the log-probability of every predicted token."),
        _CUT,
        click.option(
            "--engine",
            type=click.Choice(["auto", "torch", "numpy"]),
            default="auto",
            show_default=True,
            help="What computes, with our own engine; auto: NumPy for a model below 50 M parameters.",
        ),
        click.option(
            "--dtype", default="", help="Of the weights: float32, bfloat16, …  [default: the files']"
        ),
        click.option(
            "--as",
            "as_type",
            type=click.Choice(["cwm"]),
            help="Read a folder whose config.json says llama as this model.",
        ),
    ]
    names = (
        "grammar",
        "temperature",
        "top_p",
        "seed",
        "logprobs",
        "max_new_tokens",
        "engine",
        "dtype",
        "as_type",
    )

    @functools.wraps(command)
    def collected(**arguments: Any) -> None:
        from cwm_trace.records import Decoding

        chosen = {name: arguments.pop(name) for name in names}
        levels, old = chosen.pop("grammar"), arguments.pop("old_level")
        chosen["engine"] = chosen["engine"].replace("auto", "")
        chosen["as_type"] = chosen["as_type"] or ""
        several = [levels] if isinstance(levels, str) else levels or [old or ""]
        decodings = [Decoding(**chosen, grammar=level) for level in several]
        command(decodings=decodings, **arguments)

    for option in reversed(options):
        collected = option(collected)
    return collected


def _arguments(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    from cwm_trace.predict.settings import split_arguments

    return split_arguments(texts)


model_arguments = click.option(
    "--model-arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_arguments,
    help="Of a served model: tokenizer, max_length, drafts, concurrency, timeout, tries, extra (JSON)."
    " Its API key comes from the environment: CWM_TRACE_API_KEY.",
)


@click.command()
@click.argument("program", metavar="FILE")
@click.option("--call", metavar="CALL", help="Predict one call, such as 'f(3)', of a function in FILE.")
@click.option("--entry", metavar="NAME", help="Predict this function, which takes no arguments.")
@click.option("--model", metavar="MODEL", default=DEFAULT, show_default=True, help=MODEL_HELP)
@click.option("--mode", metavar="MODE", default="free", show_default=True, help=_MODE_HELP)
@click.option(
    "--history", metavar="TRACE", help="A real trace: the truth where a mode needs one, else continued."
)
@click.option("--max-frames", type=click.IntRange(1), default=1000, show_default=True, help="Stop there.")
@click.option(
    "--samples", type=click.IntRange(1), default=1, show_default=True, help="Predict so many times."
)
@_decode_options_of_one
@model_arguments
@click.option("-o", "--output", metavar="TRACE", help="Write the prediction to a trace file.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print frames with their whole states, a line a sample."
)
def predict(
    program: str,
    call: str | None,
    entry: str | None,
    model: str,
    mode: str,
    history: str | None,
    max_frames: int,
    samples: int,
    decoding: Decoding,
    arguments: dict[str, str],
    output: str | None,
    as_json: bool,
) -> None:
    """Predict the execution of FILE, line by line. The program is read, never run."""
    from cwm_trace.api import predict_execution
    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.predict.registry import find_predictor
    from cwm_trace.storage import read_trace, write_trace

    if samples > 1 and not decoding.temperature:
        raise CwmTraceError("every sample would be the same: give a --temperature above 0")
    if samples > 1 and output is not None:
        raise CwmTraceError("-o holds one prediction: leave --samples out, or print them as --json")
    known = read_trace(history) if history is not None else None
    predictor = find_predictor(model, decoding, grammar="flow", arguments=arguments)
    for sample in range(samples):
        with Reporter("frames") as report:
            trace = predict_execution(
                Path(program),
                entry=entry,
                call=call,
                model=predictor,
                mode=mode,
                history=known,
                max_frames=max_frames,
                sample=sample,
                on_frame=report.count("predicting"),
            )
        if output is not None:
            write_trace(trace, output)
        if as_json:
            from cwm_trace.rendering.as_json import trace_json

            click.echo(trace_json(trace))
        else:
            from cwm_trace.rendering.frames import trace_table
            from cwm_trace.rendering.terminal import print_tables

            print_tables([trace_table(trace)])

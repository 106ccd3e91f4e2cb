"""`cwm-trace compare`: a prediction against the real execution."""

from __future__ import annotations

from collections.abc import Callable

import click

MORE = ": --around N shows more of them, --all every one"


def chars_option(command: Callable[..., None]) -> Callable[..., None]:
    """How much of a value is shown."""
    help_text = "Show so many characters of a value."
    return click.option("--chars", type=click.IntRange(1), default=60, show_default=True, help=help_text)(
        command
    )


def frame_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which frames of a comparison are shown."""
    around = click.option(
        "--around",
        type=click.IntRange(0),
        default=5,
        show_default=True,
        help="Frames to show around the first wrong one.",
    )
    everything = click.option("--all", "everything", is_flag=True, help="Show every frame.")
    return around(everything(chars_option(command)))


@click.command()
@click.argument("real")
@click.argument("predicted")
@click.option("--equality", default="normal", show_default=True, help="exact, normal or typed.")
@frame_options
@click.option("--json", "as_json", is_flag=True, help="Print the numbers and the first divergence as JSON.")
def compare(
    real: str, predicted: str, equality: str, around: int, everything: bool, chars: int, as_json: bool
) -> None:
    """Compare two trace files frame by frame: the numbers, and the frames around the first wrong step.

    `◀` marks that step, `✗` a variable that is wrong, `*` one that changed.
    """
    from cwm_trace.api import compare_execution
    from cwm_trace.storage import read_trace

    comparison = compare_execution(read_trace(real), read_trace(predicted), equality=equality)
    if as_json:
        from cwm_trace.rendering.as_json import comparison_json

        click.echo(comparison_json(comparison))
    else:
        from cwm_trace.rendering.frames import comparison_table
        from cwm_trace.rendering.terminal import print_tables

        print_tables([comparison_table(comparison, None if everything else around, chars=chars, more=MORE)])

"""`cwm-trace show`: look at a trace."""

from __future__ import annotations

import click

from cwm_trace.cli.compare import chars_option

_SHOWN = 500


@click.command()
@click.argument("trace")
@click.option("--first", type=click.IntRange(0), default=0, help="Start at this frame.")
@click.option("--count", type=click.IntRange(1), help="Show so many frames.  [default: 500; all as JSON]")
@click.option("--full", is_flag=True, help="Show all variables at every line, not only what changed.")
@chars_option
@click.option("--json", "as_json", is_flag=True, help="Print the frames with their whole states as JSON.")
def show(trace: str, first: int, count: int | None, full: bool, chars: int, as_json: bool) -> None:
    """Show the frames of a trace file: each line with the variables that changed before it runs.

    `*` marks a change, `-` a variable that is gone. Where a call is shown for the first time, all of its
    variables are. Of a long value that has changed, the part is shown where it did.
    """
    from cwm_trace.storage import read_trace

    recorded = read_trace(trace)
    if as_json:
        from cwm_trace.rendering.as_json import trace_json

        click.echo(trace_json(recorded, first, None if count is None else first + count))
        return
    from cwm_trace.rendering.frames import trace_table
    from cwm_trace.rendering.terminal import print_tables

    last = first + (count or _SHOWN)
    left = len(recorded.frames) - last
    more = f": --first {last}, --count {left}" if left > 0 else ""
    print_tables([trace_table(recorded, first, last, whole_states=full, chars=chars, more=more)])

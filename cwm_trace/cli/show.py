"""`cwm-trace show`: look at a trace."""

from __future__ import annotations

import click


@click.command()
@click.argument("trace")
@click.option("--first", type=click.IntRange(0), default=0, help="Start at this frame.")
@click.option("--count", type=click.IntRange(1), help="Show so many frames.")
@click.option("--json", "as_json", is_flag=True, help="Print the frames with their whole states as JSON.")
def show(trace: str, first: int, count: int | None, as_json: bool) -> None:
    """Show the frames of a trace file: each line with the variables before it runs, changed ones marked."""
    from cwm_trace.storage import read_trace

    recorded = read_trace(trace)
    last = None if count is None else first + count
    if as_json:
        from cwm_trace.rendering.plain import trace_json

        click.echo(trace_json(recorded, first, last))
    else:
        from cwm_trace.rendering.terminal import print_trace

        print_trace(recorded, first, last)

"""`cwm-trace predict`: say what a program will do, without running it."""

from __future__ import annotations

import click


@click.command()
@click.argument("program", metavar="FILE")
@click.option("--call", metavar="CALL", help="Predict one call, such as 'f(3)', of a function in FILE.")
@click.option("--entry", metavar="NAME", help="Predict this function, which takes no arguments.")
@click.option("--model", default="copy", show_default=True, help="copy, or oracle (replays the history).")
@click.option("--mode", default="free", show_default=True, help="free, or forced (frame by frame).")
@click.option("--history", metavar="TRACE", help="A real trace: continued (free), or the truth (forced).")
@click.option("--max-frames", type=click.IntRange(1), default=1000, show_default=True, help="Stop there.")
@click.option("-o", "--output", metavar="TRACE", help="Write the prediction to a trace file.")
@click.option("--json", "as_json", is_flag=True, help="Print the frames with their whole states as JSON.")
def predict(
    program: str,
    call: str | None,
    entry: str | None,
    model: str,
    mode: str,
    history: str | None,
    max_frames: int,
    output: str | None,
    as_json: bool,
) -> None:
    """Predict the execution of FILE, line by line. The program is read, never run."""
    from cwm_trace.api import predict_execution
    from cwm_trace.storage import read_trace, write_trace

    known = read_trace(history) if history is not None else None
    trace = predict_execution(
        program, entry=entry, call=call, model=model, mode=mode, history=known, max_frames=max_frames
    )
    if output is not None:
        write_trace(trace, output)
    if as_json:
        from cwm_trace.rendering.plain import trace_json

        click.echo(trace_json(trace))
    else:
        from cwm_trace.rendering.terminal import print_trace

        print_trace(trace)

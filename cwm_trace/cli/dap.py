"""`cwm-trace dap`: the debugger behind the Debug Adapter Protocol."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Listen on this port of this machine only; 0: any free one."
)
def dap(port: int | None) -> None:
    """Let an editor debug: the debugger behind the Debug Adapter Protocol.

    An editor starts this and speaks with it over the standard streams. With --port it listens, prints where
    and a token, and launch or attach must have that token among its arguments.
    """
    from cwm_trace.debug.dap import serving

    if port is None:
        serving.serve_standard_streams()
        return
    serving.serve_port(port, lambda at, token: click.echo(f"listening on 127.0.0.1:{at}, token {token}"))

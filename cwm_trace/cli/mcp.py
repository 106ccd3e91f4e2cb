"""`cwm-trace mcp`: the debugger for agents."""

from __future__ import annotations

import click


@click.command()
def mcp() -> None:
    """Let an agent debug: a server of the Model Context Protocol over the standard streams.

    Its tools record a program in the sandbox, step through it and through a prediction, ask what if, and say
    where the prediction leaves the truth.
    """
    from cwm_trace.debug.agents import make_server

    make_server().run("stdio")

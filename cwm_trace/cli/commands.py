"""The commands by name, each imported when it is asked for: listing them costs nothing."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "demo": "Record a small program, predict every step from the true steps before it, and show both.",
    "run": "Run a program and record it, frame by frame as it happens.",
    "show": "Show the frames of a trace file: each line with the variables that changed before it runs.",
    "view": "Write a trace, with predictions of it beside it, as one HTML page to step through.",
    "convert": "Convert a trace file (JSON Lines) to CWM text, or CWM text to a trace file.",
    "predict": "Predict the execution of FILE, line by line.",
    "compare": "Compare two trace files frame by frame: the numbers, and the frames around the first wrong"
    " step.",
    "debug": "Step through what FILE does, and what a model believes that it does, forward and back.",
    "dap": "Let an editor debug: the debugger behind the Debug Adapter Protocol.",
    "mcp": "Let an agent debug: a server of the Model Context Protocol over the standard streams.",
    "bench": "Predict many programs, compare with what really happens, and report with intervals.",
    "dataset": "Build datasets of traces, describe them, pack them for training.",
    "model": "Look at checkpoints and convert them.",
    "train": "Train a model by a recipe.",
    "format": "Settle the open points of CWM's format by what a model says.",
}
"""What each does, as its own help says first; NAME is `cwm_trace.cli.NAME.NAME`, or `NAME_` for a builtin."""


class LazyGroup(click.Group):
    """A group whose commands are modules that are imported late."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"cwm_trace.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

"""`cwm-trace run --predict`: what a model would have said, beside what has just happened.

The prediction runs in a process of its own: after a program has run, this one is the program's (its working
folder, its modules, its signal handlers). Ctrl-C ends that one without a word.
"""

from __future__ import annotations

import os
import subprocess
import sys

import click

_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " from cwm_trace.cli.beside import main; main()"
)


def show_prediction(path: str, model: str, mode: str, view: bool) -> None:
    """Predict the trace at an absolute path and print both on standard error; a failure is one sentence.

    With `view`, write both as a page beside the trace as well.
    """
    command = [sys.executable, "-c", _CODE, path, model, mode, "view" * view]
    subprocess.run(command, cwd=os.sep, stdout=sys.__stderr__, stderr=sys.__stderr__, check=False)


def main() -> None:
    """Predict and print, in the other process."""
    from cwm_trace.api import compare_execution, predict_execution
    from cwm_trace.cli.main import fail
    from cwm_trace.cli.reporter import Reporter
    from cwm_trace.cli.view import page_path
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.files import write_whole
    from cwm_trace.rendering.frames import comparison_table
    from cwm_trace.rendering.terminal import print_tables
    from cwm_trace.storage import read_trace
    from cwm_trace.viewer import view_page

    path, model, mode, view = sys.argv[1:]
    try:
        real = read_trace(path)
        if not real.frames:
            raise CwmTraceError("nothing was recorded, so there is nothing to predict")
        start = type(real)(real.program, real.beginning)
        with Reporter("frames") as report:
            guess = predict_execution(
                start, model=model, mode=mode, history=real, on_frame=report.count("predicting")
            )
        comparison = compare_execution(real, guess)
        print_tables([comparison_table(comparison)])
        if view:
            page = page_path(path)
            write_whole(page, view_page(real, [guess], comparisons=[comparison]))
            click.echo(f"step through both: {os.path.relpath(page, os.environ.get('PWD', os.sep))}")
    except CwmTraceError as error:
        fail(str(error))

"""Progress of long work: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.runner import Progress

_SECONDS = 10.0  # between two lines
_ENOUGH = 100  # predictions that tell how long the others take


class BenchReporter:
    """Shows where a benchmark stands and when it will be done, on standard error."""

    def __init__(self, stack: ExitStack) -> None:
        self._start = self._said = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bar = stack.enter_context(Bar(*columns, console=Console(stderr=True), transient=True))
            self._task = self._bar.add_task("recording", total=None)

    def __call__(self, progress: Progress) -> None:
        """Say it, if it is time to."""
        what = f"{progress.task}, {progress.mode}, {progress.model}"
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=progress.done, total=progress.total)
            return
        now = time.monotonic()
        if now - self._said > _SECONDS and progress.done < progress.total:
            self._said = now
            left = (now - self._start) / progress.done * (progress.total - progress.done)
            guess = f", about {_clock(left)} left" if progress.done > _ENOUGH else ""
            click.echo(f"{progress.done} of {progress.total} predictions ({what}){guess}", err=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""Progress of long work on standard error: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import click

from cwm_trace.progress import Progress

SECONDS = 10.0
"""Between two lines."""
_ENOUGH = 100  # done ones that tell how long the others take


class Reporter:
    """Shows where long work stands and when it will be done; a context, in which it is called.

    Args:
        unit: what is counted, such as `programs`; `bytes` are shown with their sizes.
        clock: seconds that only grow.
    """

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._clock = unit, clock
        self._said = self._start = clock()
        self._what = ""
        self._stack = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> Reporter:
        if sys.stderr.isatty():
            self._bar = self._stack.enter_context(_make_bar(self._unit, self._clock))
            self._task = self._bar.add_task("", total=None, rate="")
        self._said = self._start = self._clock()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, progress: Progress) -> None:
        """Show it, if it is time to: lines come every ten seconds, and where something begins."""
        now = self._clock()
        own = progress.done - progress.before
        rate = own / (now - self._start) if now > self._start else 0.0
        if self._bar is not None:
            if progress.total is None and progress.what != self._what:  # a task's total cannot be taken away
                self._what = progress.what
                self._bar.remove_task(self._task)
                self._task = self._bar.add_task(progress.what, total=None, rate="")
            shown = f"{rate:,.0f}/s" if rate >= 1 else ""
            self._bar.update(
                self._task,
                description=progress.what,
                completed=progress.done,
                total=progress.total,
                rate=shown,
            )
            return
        begins = not own and progress.what != self._what
        if begins or (now - self._said > SECONDS and progress.done != progress.total):
            self._said, self._what = now, progress.what
            click.echo(f"cwm-trace: {self._line(progress, own, rate)}", err=True)

    def count(self, what: str) -> Callable[[object], None]:
        """What is called once for each of the things that are counted, whose number nobody knows."""
        done = 0

        def count(_: object) -> None:
            nonlocal done
            done += 1
            self(Progress(what, done))

        return count

    def _line(self, progress: Progress, own: int, rate: float) -> str:
        if not progress.done and progress.total is None:
            return progress.what
        of = "" if progress.total is None else f" of {progress.total:,}"
        parts = [f"{progress.what}: {progress.done:,}{of} {self._unit}"]
        if progress.before and not own:
            parts.append("made before")
        if rate >= 1:
            parts.append(f"{rate:,.0f} a second")
        if progress.total is not None and own > _ENOUGH and rate:
            parts.append(f"about {_duration((progress.total - progress.done) / rate)} left")
        return ", ".join(parts)


def _make_bar(unit: str, clock: Callable[[], float]) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(
            [DownloadColumn()]
            if unit == "bytes"
            else [MofNCompleteColumn(), TextColumn("{task.fields[rate]}")]
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        get_time=clock,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""How far a build is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cwm_trace.datasets.units import MadeUnit

_EVERY = 10.0
"""Seconds between two plain lines."""


class PlainProgress:
    """Lines on standard error."""

    def __init__(self) -> None:
        self._total = self._done = self._before = 0
        self._start = self._said = time.monotonic()

    def begin(self, total: int, done: int) -> None:
        """Say what there is to do."""
        self._total, self._done, self._before = total, done, done
        self._start = self._said = time.monotonic()
        self._say(f"{total:,} programs" + (f", {done:,} of them made before" if done else ""))

    def advance(self, made: MadeUnit) -> None:
        """Say how far it is, now and then."""
        self._done += made.tried
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            rate = (self._done - self._before) / (now - self._start)
            left = (self._total - self._done) / rate
            self._say(f"{self._done:,} of {self._total:,}, {rate:,.0f} a second, {left:,.0f} s left")

    def note(self, what: str) -> None:
        """Say what comes next."""
        self._say(what)

    def _say(self, text: str) -> None:
        print(f"cwm-trace: {text}", file=sys.stderr, flush=True)


class BarProgress:
    """A bar of rich's."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("recording", total=None, rate="")
        self._done = self._before = 0
        self._start = time.monotonic()

    def begin(self, total: int, done: int) -> None:
        """Show what there is to do."""
        self._done, self._before, self._start = done, done, time.monotonic()
        self._bar.update(self._task, total=total, completed=done)

    def advance(self, made: MadeUnit) -> None:
        """Move on."""
        self._done += made.tried
        rate = (self._done - self._before) / max(time.monotonic() - self._start, 1e-9)
        self._bar.update(self._task, completed=self._done, rate=f"{rate:,.0f}/s")

    def note(self, what: str) -> None:
        """Say what comes next."""
        self._bar.update(self._task, description=what)


@contextmanager
def build_progress() -> Iterator[PlainProgress | BarProgress]:
    """The progress that suits standard error."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield BarProgress(bar)

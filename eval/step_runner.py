"""Runs single statements in a child process that may hang, die or eat its memory."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwm_trace.eval.statements import PURE_BUILTINS

_CHILD = Path(__file__).with_name("step_child.py")
SECONDS = 2.0
"""For one statement."""


@dataclass(frozen=True, slots=True)
class Job:
    """A statement, or an expression, and the state it starts from, as texts."""

    source: str
    is_expression: bool
    state: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Python does.

    Args:
        error: `repr` and message of the exception it raises; None if it raises none.
        value: `repr` of an expression's value.
        true: whether that is true.
        changed: new texts of the variables that changed.
    """

    error: tuple[str, str] | None
    value: str | None
    true: bool | None
    changed: dict[str, str]


class StepRunner:
    """Runs jobs in one child process after the other, as long as each lives.

    Args:
        seconds: for one job; a child that takes longer is killed.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: _Child | None = None

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome | None]:
        """Run each by itself; None where its outcome does not follow from the texts, or there was none."""
        return [self._run(job) for job in jobs]

    def __enter__(self) -> StepRunner:
        """Nothing is started before the first job."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _run(self, job: Job) -> Outcome | None:
        if self._child is None:
            self._child = _Child()
        answer = self._child.ask(job, self._seconds)
        if not self._child.alive:
            self._child.close()
            self._child = None
        return _outcome(answer)


def run_steps(jobs: Sequence[Job]) -> list[Outcome | None]:
    """Run jobs in a child process of their own; see `StepRunner`."""
    with StepRunner() as run:
        return run(jobs)


class _Child:
    def __init__(self) -> None:
        self.alive = True
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", os.fspath(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
        )
        self._send(sorted(PURE_BUILTINS))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, job: Job, seconds: float) -> Any:
        """The answer to a job; None if there is none, and then the child may be dead."""
        self._send({"source": job.source, "is_expression": job.is_expression, "state": job.state})
        line = self._read_line(time.monotonic() + seconds) if self.alive else None
        self.alive = line is not None
        return None if line is None else json.loads(line)

    def _send(self, data: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(data).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self.alive = False

    def _read_line(self, deadline: float) -> bytes | None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            part = os.read(descriptor, 1 << 16)
            if not part:
                return None
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _outcome(answer: Any) -> Outcome | None:
    if answer is None:
        return None
    error = answer["error"]
    return Outcome(
        None if error is None else tuple(error), answer["value"], answer["true"], answer["changed"]
    )

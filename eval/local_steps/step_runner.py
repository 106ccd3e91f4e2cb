"""Single statements in a sandboxed child, where they may hang, die or eat its memory."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cwm_trace.eval.local_steps import step_code
from cwm_trace.eval.local_steps.statements import PURE_BUILTINS
from cwm_trace.tracer.sandbox import run_isolated
from cwm_trace.tracer.steps import Step
from cwm_trace.tracer.supervision import Bounds

SECONDS = 1.0
"""For one statement."""
BATCH = 1000
"""Statements in one child."""


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
        error: `repr` of the exception it raises; None if it raises none.
        value: `repr` of an expression's value.
        true: whether that is true.
        changed: new texts of the variables that changed.
    """

    error: str | None
    value: str | None
    true: bool | None
    changed: dict[str, str]


def run_steps(jobs: Sequence[Job], *, seconds: float = SECONDS) -> list[Outcome | None]:
    """Run each job by itself, many in one child.

    Returns:
        None for a job whose outcome does not follow from the texts of its state, see `step_code.run_step`, or
        that took longer than `seconds` or too much memory.

    Raises:
        CwmTraceError: the sandbox cannot be set up here.
    """
    definitions = inspect.getsource(step_code)
    bounds = Bounds(seconds=10 + BATCH * seconds, cpu_seconds=int(10 + BATCH * seconds))
    found: list[Outcome | None] = []
    for start in range(0, len(jobs), BATCH):
        steps = [_step(job, seconds) for job in jobs[start : start + BATCH]]
        results = run_isolated(definitions, steps, bounds=bounds)
        found += [_outcome(result.value.text if result.value else "None") for result in results]
    return found


def _step(job: Job, seconds: float) -> Step:
    arguments = (job.source, job.is_expression, job.state, sorted(PURE_BUILTINS), seconds)
    return Step(f"run_step{arguments!r}", is_expression=True)


def _outcome(text: str) -> Outcome | None:
    answer: Any = ast.literal_eval(text)
    return None if answer is None else Outcome(**answer)

"""Single statements in a sandboxed child, where they may hang, die or eat its memory."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from cwm_trace.eval.local_steps.statements import PURE_BUILTINS
from cwm_trace.tracer.sandbox import run_isolated
from cwm_trace.tracer.steps import Step, StepResult
from cwm_trace.tracer.supervision import Bounds

SECONDS = 1.0
"""For one statement."""
_BATCH = 1000
"""Statements in one child."""
_MAX_CHARS = 1 << 20  # of one value
_ALLOWED = tuple(sorted(PURE_BUILTINS))


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
        None for a job whose outcome does not follow from the texts of its state, see `Step.from_text`, or
        that took longer than `seconds` or too much memory.

    Raises:
        CwmTraceError: the sandbox cannot be set up here.
    """
    bounds = Bounds(seconds=10 + _BATCH * seconds, cpu_seconds=int(10 + _BATCH * seconds))
    found: list[Outcome | None] = []
    for start in range(0, len(jobs), _BATCH):
        part = jobs[start : start + _BATCH]
        steps = [
            Step(job.source, job.state, job.is_expression, _ALLOWED, seconds, from_text=True) for job in part
        ]
        results = run_isolated("", steps, bounds=bounds)
        found += [_outcome(job, result) for job, result in zip(part, results, strict=True)]
    return found


def _outcome(job: Job, result: StepResult) -> Outcome | None:
    if result.ended not in ("returned", "raised"):
        return None
    if job.is_expression and result.ended == "returned" and result.truth is None:
        return None
    try:
        before = {name: repr(ast.literal_eval(text)) for name, text in job.state.items()}
    except ValueError:  # an integer of more digits than Python writes
        return None
    changed = {name: slot.text for name, slot in result.state.items() if before.get(name) != slot.text}
    value = None if result.value is None else result.value.text
    if any(len(text) > _MAX_CHARS for text in (*changed.values(), value or "")):
        return None
    error = None if result.error is None else result.error.text
    return Outcome(error, value, result.truth, changed)

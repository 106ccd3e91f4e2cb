"""Answers to lines of a log: every comparison of a prediction with the real execution of its program."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cwm_trace.eval.benchmark.log import ProgramLine
from cwm_trace.eval.benchmark.stored import store_prediction
from cwm_trace.eval.benchmark.tasks import Case
from cwm_trace.eval.benchmark.truth import Truth
from cwm_trace.eval.comparison.alignment import NO_MASK
from cwm_trace.eval.comparison.equality import Equality
from cwm_trace.eval.comparison.masks import mask_differences
from cwm_trace.eval.comparison.score import ProgramScore, score_program
from cwm_trace.eval.local_steps.steps import LocalSteps, score_many_local_steps
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Outcome, Trace
from cwm_trace.wire.render import render_prompt

_INVALID = ("tokens", "locals")  # grades of problems that leave a frame without its parts


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction, with what it was for.

    Args:
        case: the program.
        truth: what really happens.
        predicted: what was said.
    """

    case: Case
    truth: Truth
    predicted: Trace


def score_answers(answers: Sequence[Answer], *, keep: bool = True) -> list[ProgramLine]:
    """Their lines, in their order.

    Args:
        answers: many at once are cheaper: one child process runs the single steps of all of them.
        keep: the predictions, so that they can be scored again.

    Raises:
        CwmTraceError: the sandbox cannot be set up here.
    """
    steps = score_many_local_steps([(answer.predicted, answer.truth.trace) for answer in answers])
    return [_line(answer, local, keep) for answer, local in zip(answers, steps, strict=True)]


def _line(answer: Answer, local: LocalSteps, keep: bool) -> ProgramLine:
    item, real, predicted = answer.case.item, answer.truth.trace, answer.predicted
    scores = {level: _score(answer, level) for level in Equality}
    return ProgramLine(
        id=item.id,
        family=item.family,
        knobs=dict(item.knobs),
        prompt=digest(render_prompt(real, given=max(1, predicted.given))),
        real_frames=len(real.frames),
        result=result_of(predicted),
        score=replace(scores[Equality.NORMAL], local_steps=local.by_kind, local_outside=local.outside),
        exact=scores[Equality.EXACT],
        typed=scores[Equality.TYPED],
        stored=store_prediction(predicted) if keep else None,
    )


def _score(answer: Answer, level: Equality) -> ProgramScore:
    real, again = answer.truth.trace, answer.truth.again
    masked = NO_MASK if again is None else mask_differences(real, again, level)
    return score_program(real, answer.predicted, equality=level, masked=masked)


def result_of(predicted: Trace) -> str:
    """How a prediction ended: `complete`, `timed-out`, `truncated`, `unparsable` or `no-end`."""
    if predicted.outcome is Outcome.TIMED_OUT:
        return "timed-out"
    if predicted.outcome is Outcome.TRUNCATED:
        return "truncated"
    if any(problem.grade in _INVALID for problem in predicted.problems):
        return "unparsable"
    return "complete" if predicted.outcome in ENDED else "no-end"


def digest(text: str) -> str:
    """Twelve hex digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]

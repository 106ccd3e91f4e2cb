"""Answers to lines of a log: every comparison of a prediction with the real execution of its program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import ProgramLine
from cwm_trace.eval.benchmark.stored import store_prediction
from cwm_trace.eval.benchmark.tasks import Case
from cwm_trace.eval.benchmark.truth import Truth
from cwm_trace.eval.comparison.alignment import NO_MASK
from cwm_trace.eval.comparison.disagreement import mask_differences
from cwm_trace.eval.comparison.equality import Equality
from cwm_trace.eval.comparison.score import ProgramScore, score_program
from cwm_trace.eval.local_steps.step_accuracy import LocalSteps, score_local_steps
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Outcome, Problem, Trace
from cwm_trace.wire.render import render_prompt

_INVALID = ("tokens", "locals")  # grades of problems that leave a frame without its parts


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction, with what it was for.

    Args:
        case: the program.
        truth: what really happens.
        predicted: what was said.
        sample: number of the prediction among those of this program.
        skipped: what stood around its frames.
        fault: why it holds no trace; empty if it does.
        is_other: it is a trace, of another program.
    """

    case: Case
    truth: Truth
    predicted: Trace
    sample: int = 0
    skipped: tuple[str, ...] = ()
    fault: str = ""
    is_other: bool = False


def score_answers(answers: Sequence[Answer], *, keep: bool = True) -> list[ProgramLine]:
    """Their lines, in their order. An answer that cannot be compared is a line too, which says why.

    Args:
        answers: many at once are cheaper: one child process runs the single steps of all of them.
        keep: the predictions, so that they can be scored again.

    Raises:
        CwmTraceError: the sandbox cannot be set up here.
    """
    scored = [_score_at_all_levels(answer) for answer in answers]
    steps = _score_local_steps([(answer.predicted, answer.truth.trace) for answer, _ in scored])
    return [_line(answer, scores, local, keep) for (answer, scores), local in zip(scored, steps, strict=True)]


_Scores = Mapping[Equality, ProgramScore]


def _score_at_all_levels(answer: Answer) -> tuple[Answer, _Scores]:
    """The answer with its scores, or one without frames that says why it cannot be compared."""
    try:
        return answer, {level: _score(answer, level) for level in Equality}
    except Exception as error:  # one odd answer must not stop the others
        why = str(error) if isinstance(error, CwmTraceError) else f"{type(error).__name__}: {error}"
        given = answer.truth.trace.frames[:1]
        problem = Problem("tokens", len(given), 0, why)
        nothing = replace(
            answer.truth.trace,
            frames=given,
            outcome=Outcome.INCOMPLETE,
            guess=replace(
                answer.truth.trace.guess,
                given=len(given),
                mode=answer.predicted.guess.mode,
                decoding=answer.predicted.guess.decoding,
                problems=(problem,),
            ),
        )
        other = replace(answer, predicted=nothing, fault=why, is_other=True)
        return other, {level: _score(other, level) for level in Equality}


def _score_local_steps(pairs: Sequence[tuple[Trace, Trace]]) -> list[LocalSteps]:
    try:
        return score_local_steps(pairs)
    except CwmTraceError:
        raise
    except Exception:  # the odd one is found by asking for each alone
        if len(pairs) == 1:
            return [LocalSteps()]
        return [_score_local_steps([pair])[0] for pair in pairs]


def _line(answer: Answer, scores: _Scores, local: LocalSteps, keep: bool) -> ProgramLine:
    item, real, predicted = answer.case.item, answer.truth.trace, answer.predicted
    said = predicted.value
    return ProgramLine(
        id=item.id,
        family=item.family,
        knobs=dict(item.knobs),
        prompt=digest(render_prompt(real, given=max(1, predicted.guess.given))),
        real_frames=len(real.frames),
        sample=answer.sample,
        result=_result(answer),
        reason=answer.fault,
        skipped=list(answer.skipped),
        said=None if said is None else said.text,
        score=replace(
            scores[Equality.NORMAL],
            answer=scores[Equality.TYPED].answer,  # the order of a set is nobody's to mask, by `==`
            local_steps=local.by_kind,
            local_outside=local.outside,
        ),
        exact=scores[Equality.EXACT],
        typed=scores[Equality.TYPED],
        stored=store_prediction(predicted) if keep else None,
    )


def _score(answer: Answer, level: Equality) -> ProgramScore:
    real, again = answer.truth.trace, answer.truth.again
    masked = NO_MASK if again is None else mask_differences(real, again, level)
    return score_program(real, answer.predicted, equality=level, masked=masked)


def _result(answer: Answer) -> str:
    """How an answer ended: as `_result_of` says, or `no-trace` or `not-comparable`."""
    if answer.fault:
        return "not-comparable" if answer.is_other else "no-trace"
    return _result_of(answer.predicted)


def _result_of(predicted: Trace) -> str:
    """How a prediction ended: `complete`, `timed-out`, `truncated`, `unparsable` or `no-end`."""
    if predicted.outcome is Outcome.TIMED_OUT:
        return "timed-out"
    if predicted.outcome is Outcome.TRUNCATED:
        return "truncated"
    if any(problem.grade in _INVALID for problem in predicted.guess.problems):
        return "unparsable"
    return "complete" if predicted.outcome in ENDED else "no-end"


def digest(text: str) -> str:
    """Twelve hex digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]

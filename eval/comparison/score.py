"""What a report needs of one program: plain counts, without the traces.

A rate with a total of 0 has nothing to score: that is no value, not a wrong one. What a mode hands to the
predictor counts nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cwm_trace.eval.comparison.alignment import NO_MASK, Alignment, Mask, align
from cwm_trace.eval.comparison.answers import judge_answer
from cwm_trace.eval.comparison.counts import count_pairs, named_rates
from cwm_trace.eval.comparison.divergence import find_divergence
from cwm_trace.eval.comparison.edit import NO_EDIT, score_by_edit
from cwm_trace.eval.comparison.endings import (
    WITH_END,
    find_budget_loss,
    find_ending,
    is_path_exact,
    is_trace_exact,
)
from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.eval.comparison.metrics import NO_ITEMS, NO_TRIALS, Rate, Retrieval
from cwm_trace.eval.comparison.raised import score_exceptions
from cwm_trace.eval.comparison.reval import score_reval
from cwm_trace.eval.comparison.value_classes import size_bin
from cwm_trace.plain import resting_collector
from cwm_trace.predict.modes import ModeKind
from cwm_trace.records import Cost, Event, Frame, Outcome, Slot, Trace

_SHIFTS = (ModeKind.FREE, ModeKind.STEP_OVER)  # one frame too many moves everything after it
GRADES = ("tokens", "locals", "stack", "source")
"""Validity of a predicted text, from its special tokens to its lines; see `cwm_trace.wire.parse`."""


@dataclass(frozen=True, slots=True)
class ProgramScore:
    """How one prediction compares with the real execution.

    Args:
        mode, equality: of the prediction, and of the comparison.
        length: real frames that count: those after the given ones that are not masked.
        frames: frames that are exactly right; its recall is the frame exact match.
        events: frames with the right event, the end of the trace included where it is predicted.
        next_lines: frames with the right event and line.
        branches: the same for frames that follow a line with several successors.
        path_exact: the whole control sequence is right, the end included; None where it is not predicted.
        states: real states that were predicted exactly, key set included.
        changed_slots: (variable, value) pairs that changed, a deletion included.
        stale: real changes of variables that the prediction leaves alone.
        spurious: predicted changes of variables that really stay.
        by_type, by_size: changed slots whose value is right, by runtime type (`value_kind`) and by size
            (`size_bin`); deletions are left out.
        output: the value of the entry's own RETURN is right; None if it has none, it was given or is masked.
        answer: the same by `==`, as benchmarks compare it: a `Verdict`, or `executed-right` and
            `executed-wrong` where only running it could tell; None as for `output`.
        exceptions: by `event`, `line`, `type`, `message` and `handler`.
        tau: frames before the first wrong one; None without frames to score.
        tau_observed: something is wrong at `tau`; otherwise the prediction is right as far as it goes.
        cause, cause_type: at `tau`: see `cwm_trace.eval.comparison.divergence`.
        at_risk: real frames up to and with the one at `tau` by kind: how often each kind could have been the
            first wrong one. Kinds are the events, and `branch` for a LINE that follows a branch line.
        failed_kind: kind of the frame at `tau`, if it is wrong.
        trace_exact: mode `free` only: every frame is right and the end as well; None if that is unknown.
        problems: places where the prediction is no valid trace, by grade: `tokens`, `locals`, `stack`,
            `source`; a grade without any is missing.
        truncated: a budget ended the prediction.
        halting: `right`, `early`, `late`, or `unknown` at the cap; None where the end is not predicted.
        budget_loss: why a truncated prediction lost: `structural`: the true trace is over the budget;
            `runaway`: it is not. None if it did not, or was complete as far as it went.
        by_position, by_depth, by_lookback: frames that are exactly right by index, by depth, and by the
            number of frames since the last one of the same activation (`size_bin`; `new` for none).
        matched: modes `free` and `step-over`: real frames with a partner in the longest common control
            sequence (`cwm_trace.eval.comparison.edit`): the coverage of the next two.
        matched_states, matched_slots: as `states` and `changed_slots`, over those frames.
        local_steps: steps from the prediction's own states that are rightly computed, by kind of statement;
            empty until `score_local_steps` has run.
        local_outside: those that cannot be judged, by reason; see `cwm_trace.eval.local_steps.step_accuracy`.
        reval: mode `free`: REval's questions by kind; see `cwm_trace.eval.comparison.reval`.
        masked: values and frames that were left out because another run does not repeat them.
        cost: what the prediction took; None if that was not measured.
        tokens: tokens by field, where the prediction has probabilities of them.
        confidence: by field, and for whole `frame`s: the product of the token probabilities, and whether the
            field is right.
    """

    mode: str
    equality: str
    length: int
    frames: Retrieval = NO_ITEMS
    events: Retrieval = NO_ITEMS
    next_lines: Retrieval = NO_ITEMS
    branches: Rate = NO_TRIALS
    path_exact: bool | None = None
    states: Rate = NO_TRIALS
    changed_slots: Retrieval = NO_ITEMS
    stale: Rate = NO_TRIALS
    spurious: Rate = NO_TRIALS
    by_type: Mapping[str, Rate] = field(default_factory=dict)
    by_size: Mapping[str, Rate] = field(default_factory=dict)
    output: bool | None = None
    answer: str | None = None
    exceptions: Mapping[str, Retrieval] = field(default_factory=dict)
    tau: int | None = None
    tau_observed: bool = False
    cause: str | None = None
    cause_type: str | None = None
    failed_kind: str | None = None
    at_risk: Mapping[str, int] = field(default_factory=dict)
    trace_exact: bool | None = None
    problems: Mapping[str, int] = field(default_factory=dict)
    truncated: bool = False
    halting: str | None = None
    budget_loss: str | None = None
    by_position: Mapping[str, Rate] = field(default_factory=dict)
    by_depth: Mapping[str, Rate] = field(default_factory=dict)
    by_lookback: Mapping[str, Rate] = field(default_factory=dict)
    matched: Rate = NO_TRIALS
    matched_states: Rate = NO_TRIALS
    matched_slots: Retrieval = NO_ITEMS
    local_steps: Mapping[str, Rate] = field(default_factory=dict)
    local_outside: Mapping[str, int] = field(default_factory=dict)
    reval: Mapping[str, Rate] = field(default_factory=dict)
    masked: int = 0
    cost: Cost | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    confidence: Mapping[str, tuple[tuple[float, bool], ...]] = field(default_factory=dict)


def score_program(
    real: Trace,
    predicted: Trace,
    *,
    equality: Equality = Equality.NORMAL,
    masked: Mask = NO_MASK,
    real_tokens: int | None = None,
) -> ProgramScore:
    """Compare by position and count.

    Args:
        real: the recorded trace.
        predicted: the prediction.
        equality: how values are compared.
        masked: what another real run does not repeat; see `cwm_trace.eval.comparison.disagreement`.
        real_tokens: tokens of the true continuation, which tell whether it is over the budget of a prediction
            that was cut; without them frames do.

    Raises:
        CwmTraceError: the traces are of different programs.
    """
    with resting_collector():
        return score_alignment(align(real, predicted, equality, masked), real_tokens)


def score_alignment(alignment: Alignment, real_tokens: int | None = None) -> ProgramScore:
    """Count what is right in aligned frames; see `score_program`."""
    predicted = alignment.predicted
    counts = count_pairs(alignment)
    ending = find_ending(alignment)
    divergence = find_divergence(alignment)
    edit = score_by_edit(alignment, counts) if alignment.mode.kind in _SHIFTS else NO_EDIT
    length, said = counts.real, counts.said
    real_output, said_output = _find_outputs(alignment)
    has_events = alignment.mode.kind in WITH_END or alignment.mode.kind is ModeKind.REGROUND
    events = _retrieval(counts.event + ending.right, said + ending.said, length + ending.counts)
    answer = None if real_output is None else judge_answer(real_output, said_output).value
    asks = alignment.mode.kind is ModeKind.FREE
    return ProgramScore(
        mode=str(alignment.mode),
        equality=alignment.equality.value,
        length=length,
        frames=_retrieval(counts.exact, said, length),
        events=events if has_events else NO_ITEMS,
        next_lines=_retrieval(counts.control, said, length),
        branches=Rate(counts.branch_hits, counts.branches),
        path_exact=is_path_exact(alignment, counts, ending) if has_events else None,
        states=Rate(counts.state_hits, counts.states),
        changed_slots=_retrieval(counts.change_hits, counts.predicted_changes, counts.real_changes),
        stale=Rate(counts.stale, counts.real_changes),
        spurious=Rate(counts.spurious, counts.predicted_changes),
        by_type=named_rates(counts.types),
        by_size=named_rates((size_bin(size), right) for size, right in counts.sizes),
        output=None if real_output is None else _is_right(real_output, said_output, alignment.equality),
        answer=answer,
        exceptions=score_exceptions(alignment, counts.exceptions) if counts.exceptions else {},
        tau=counts.tau(divergence),
        tau_observed=divergence is not None,
        cause=None if divergence is None else divergence.cause,
        cause_type=None if divergence is None else divergence.type,
        failed_kind=None if divergence is None else counts.kind_at(divergence.index),
        at_risk=counts.at_risk(divergence, ends=ending.counts),
        trace_exact=is_trace_exact(alignment, counts, ending),
        problems=dict(
            Counter(
                p.grade
                for p in predicted.guess.problems
                if p.grade in GRADES and p.frame >= predicted.guess.given
            )
        ),
        truncated=predicted.outcome is Outcome.TRUNCATED,
        halting=ending.halting,
        budget_loss=find_budget_loss(alignment, counts, real_tokens),
        by_position=counts.by_position(),
        by_depth=counts.by_depth(),
        by_lookback=counts.by_lookback(),
        matched=edit.matched,
        matched_states=edit.states,
        matched_slots=edit.changed_slots,
        reval=score_reval(alignment.real, predicted, answer, alignment.equality) if asks else {},
        masked=counts.masked,
        cost=predicted.guess.cost,
        tokens=dict(counts.tokens),
        confidence={name: tuple(found) for name, found in counts.confidence.items()},
    )


def _find_outputs(alignment: Alignment) -> tuple[Slot | None, Slot | None]:
    """The value of the entry's own RETURN, None if there is none or it does not count, and the said one."""
    real, predicted = alignment.real, alignment.predicted
    index = real.entry_return
    if index is None or real.frames[index].value is None:
        return None, None
    if index < predicted.guess.given or index in alignment.mask.values:
        return None, None
    value = predicted.value
    if alignment.mode.needs_truth:  # the prediction of that very frame
        frame = predicted.frames[index] if index < len(predicted.frames) else None
        value = frame.value if frame is not None and _leaves_entry(frame) else None
    return real.value, value


def _is_right(real: Slot, said: Slot | None, level: Equality) -> bool:
    return said is not None and slots_equal(real, said, level)


def _leaves_entry(frame: Frame) -> bool:
    return frame.depth == 0 and frame.event is Event.RETURN


def _retrieval(hits: int, predicted: int, real: int) -> Retrieval:
    return Retrieval(hits, predicted - hits, real - hits)

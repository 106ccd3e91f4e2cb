"""What a report needs of one program: plain counts, without the traces.

A rate with a total of 0 has nothing to score: that is no value, not a wrong one. What a mode hands to the
predictor counts nowhere.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cwm_trace.eval.alignment import NO_MASK, Alignment, Mask, Pair, align
from cwm_trace.eval.branches import BranchLines
from cwm_trace.eval.divergence import Divergence, find_divergence
from cwm_trace.eval.equality import Equality, slots_equal
from cwm_trace.eval.exceptions import score_exceptions
from cwm_trace.eval.metrics import NO_ITEMS, NO_TRIALS, Rate, Retrieval
from cwm_trace.eval.values import size_bin, value_kind
from cwm_trace.modes import ModeKind
from cwm_trace.records import Cost, Event, Frame, Outcome, Trace

_STATEFUL = (Event.CALL, Event.LINE)
_WITH_END = (ModeKind.FREE, ModeKind.FORCED, ModeKind.STEP_OVER)  # the end of the trace is predicted
_WITH_EVENT = (*_WITH_END, ModeKind.REGROUND)
_DEEP = 8
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
        exceptions: by `event`, `line`, `type`, `message` and `handler`.
        tau: frames before the first wrong one; None without frames to score.
        tau_observed: something is wrong at `tau`; otherwise the prediction is right as far as it goes.
        cause, cause_type: at `tau`: see `cwm_trace.eval.divergence`.
        failed_kind: kind (`frame_kind`) of the real frame at `tau`; None if the real trace had ended.
        at_risk: real frames up to and with `tau` by kind: how often each could have been the first wrong.
        trace_exact: mode `free` only: every frame is right and the end as well; None if that is unknown.
        problems: places where the prediction is no valid trace, by grade: `tokens`, `locals`, `stack`,
            `source`; a grade without any is missing.
        truncated: a budget ended the prediction.
        halting: `right`, `early`, `late`, or `unknown` at the cap; None where the end is not predicted.
        budget_loss: why a truncated prediction lost: `structural`: the true trace is over the budget;
            `runaway`: it is not. None if it did not, or was complete as far as it went.
        by_position, by_depth, by_lookback: frames that are exactly right by index, by depth, and by the
            number of frames since the last one of the same activation (`size_bin`; `new` for none).
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
        masked: what another real run does not repeat; see `cwm_trace.eval.masks`.
        real_tokens: tokens of the true continuation, which tell whether it is over the budget of a prediction
            that was cut; without them frames do.

    Raises:
        CwmTraceError: the traces are of different programs.
    """
    return score_alignment(align(real, predicted, equality, masked), real_tokens)


def score_alignment(alignment: Alignment, real_tokens: int | None = None) -> ProgramScore:
    """Count what is right in aligned frames; see `score_program`."""
    predicted = alignment.predicted
    counts = _Counts(alignment)
    halting = find_halting(alignment)
    divergence = find_divergence(alignment)
    length = counts.real
    end, end_hit, end_said = _end_of_trace(alignment, halting)
    has_events = alignment.mode.kind in _WITH_EVENT
    events = counts.event + end_hit
    return ProgramScore(
        mode=str(alignment.mode),
        equality=alignment.equality.value,
        length=length,
        frames=_retrieval(counts.exact, counts.said, length),
        events=_retrieval(events, counts.said + end_said, length + end) if has_events else NO_ITEMS,
        next_lines=_retrieval(counts.control, counts.said, length),
        branches=Rate(counts.branch_hits, counts.branches),
        path_exact=_path_exact(alignment, counts, halting) if has_events else None,
        states=Rate(counts.state_hits, counts.states),
        changed_slots=_retrieval(counts.change_hits, counts.predicted_changes, counts.real_changes),
        stale=Rate(counts.stale, counts.real_changes),
        spurious=Rate(counts.spurious, counts.predicted_changes),
        by_type=_rates(counts.types),
        by_size=_rates(counts.sizes),
        output=_output_right(alignment),
        exceptions=score_exceptions(alignment),
        tau=counts.tau(divergence),
        tau_observed=divergence is not None,
        cause=None if divergence is None else divergence.cause,
        cause_type=None if divergence is None else divergence.type,
        failed_kind=None if divergence is None else counts.kind_at(divergence.index),
        at_risk=counts.at_risk(divergence, ends=bool(end)),
        trace_exact=_trace_exact(alignment, length, divergence is not None, halting),
        problems=Counter(
            p.grade for p in predicted.problems if p.grade in GRADES and p.frame >= predicted.given
        ),
        truncated=predicted.outcome is Outcome.TRUNCATED,
        halting=halting,
        budget_loss=_budget_loss(alignment, counts, real_tokens),
        by_position=_rates((size_bin(at), exact) for at, exact in enumerate(counts.exact_flags)),
        by_depth=_rates(zip(counts.depths, counts.exact_flags, strict=True)),
        by_lookback=_rates(zip(counts.lookbacks, counts.exact_flags, strict=True)),
        masked=counts.masked,
        cost=predicted.cost,
        tokens=counts.tokens,
        confidence={name: tuple(found) for name, found in counts.confidence.items()},
    )


class _Counts:
    """One pass over the pairs that count."""

    def __init__(self, alignment: Alignment) -> None:
        branch_lines = BranchLines(alignment.real)
        mask = alignment.mask
        self.real = self.said = self.exact = self.event = self.control = 0
        self.branches = self.branch_hits = self.states = self.state_hits = 0
        self.change_hits = self.real_changes = self.predicted_changes = self.stale = self.spurious = 0
        self.masked = 0
        self.types: list[tuple[str, bool]] = []
        self.sizes: list[tuple[str, bool]] = []
        self.exact_flags: list[bool] = []
        self.kinds: list[str] = []  # of the real frames that count
        self.indices: list[int] = []
        self.depths: list[str] = []
        self.lookbacks: list[str] = []
        self.tokens: Counter[str] = Counter()
        self.confidence: dict[str, list[tuple[float, bool]]] = {}
        self._was_cut = alignment.was_cut
        first_lines: dict[int, int] = {}
        last_seen: dict[int, int] = {}
        branching: dict[int, bool] = {}  # whether the last line of an activation branches
        for pair in alignment.pairs:
            real, predicted = pair.real, pair.predicted
            is_branch, lookback = False, "new"
            if real is not None:
                activation = real.activation
                index = last_seen.get(activation)
                if index is None:
                    first_lines[activation] = real.line
                else:
                    lookback = size_bin(pair.index - index)
                    is_branch = branching[activation]
                last_seen[activation] = pair.index
                branching[activation] = (
                    real.event is Event.LINE
                    and (real.file, first_lines[activation], real.line) in branch_lines
                )
            if not pair.scored:
                self.masked += not pair.given and real is not None and mask.end is not None
                continue
            self.masked += len(mask.names.get(pair.index, ())) + (pair.index in mask.values)
            if predicted is not None and predicted.event is not Event.END:
                self.said += 1
                if predicted.logprobs:
                    self._count_tokens(pair, predicted.logprobs)
            if pair.predicted_changes or pair.real_changes:
                self._count_changes(pair)
            if real is None:
                continue
            self.real += 1
            self.exact += pair.exact
            self.event += pair.event
            self.control += pair.control
            if is_branch:
                self.branches += 1
                self.branch_hits += pair.control
            if pair.state is not None:
                self.states += 1
                self.state_hits += pair.state
            self.exact_flags.append(pair.exact)
            self.indices.append(pair.index)
            self.kinds.append("branch" if is_branch and real.event is Event.LINE else real.event.value)
            self.depths.append(str(real.depth) if real.depth < _DEEP else f"{_DEEP}+")
            self.lookbacks.append(lookback)

    def _count_changes(self, pair: Pair) -> None:
        real, predicted = pair.real_changes, pair.predicted_changes
        self.real_changes += len(real)
        self.predicted_changes += len(predicted)
        for name, key in real.items():
            if name not in predicted:
                self.stale += 1
            elif predicted[name] == key:
                self.change_hits += 1
            slot = None if key is None or pair.real is None else pair.real.changed.get(name)
            if slot is not None:
                right = (
                    name not in pair.wrong
                    and pair.predicted is not None
                    and pair.predicted.event in _STATEFUL
                )
                self.types.append((value_kind(slot), right))
                self.sizes.append((size_bin(slot.size), right))
        if predicted:
            self.spurious += sum(name not in real for name in predicted)

    def _count_tokens(self, pair: Pair, logprobs: Mapping[str, tuple[float, ...]]) -> None:
        hidden = pair.real is not None and pair.value is None and pair.state is None
        right = {
            "event": pair.event,
            "locals": pair.state is True,
            "source": pair.source,
            "value": pair.value is True,
        }
        total, seen = 0.0, False
        for name, found in logprobs.items():
            if not found:
                continue
            self.tokens[name] += len(found)
            total, seen = total + sum(found), True
            if name in right and not (hidden and name in ("locals", "value")):
                self.confidence.setdefault(name, []).append((math.exp(sum(found)), right[name]))
        if seen:
            self.confidence.setdefault("frame", []).append((math.exp(total), pair.exact))

    def tau(self, divergence: Divergence | None) -> int | None:
        """Real frames before the first wrong one; all that were predicted if none is."""
        if divergence is not None:
            return bisect_left(self.indices, divergence.index)
        if not self.real:
            return None
        return min(self.real, self.said) if self._was_cut else self.real

    def kind_at(self, index: int) -> str:
        """The kind of the real frame at a position; `end` beyond them."""
        at = bisect_left(self.indices, index)
        return self.kinds[at] if at < len(self.kinds) else "end"

    def at_risk(self, divergence: Divergence | None, *, ends: bool) -> dict[str, int]:
        """Real frames by kind up to the first wrong one, the end of the trace among them."""
        right = self.tau(divergence) or 0
        kinds = Counter(self.kinds[: right + (divergence is not None)])
        if ends and right == self.real:
            kinds["end"] += 1
        return kinds


def find_halting(alignment: Alignment) -> str | None:
    """Whether the prediction ends where the execution does.

    `right`; `early`: before it; `late`: there are frames beyond it; `unknown`: the prediction was cut. None
    if the mode does not predict the end, or the real one is not known.
    """
    if alignment.mode.kind not in _WITH_END or not alignment.real_ended:
        return None
    real, predicted = alignment.real.frames, alignment.predicted.frames
    if alignment.mode.is_forced:
        if any(pair.scored and _is_end(pair) for pair in alignment.pairs):
            return "early"
        if len(predicted) < len(real):
            return "unknown"
        return "late" if len(predicted) > len(real) else "right"
    if alignment.was_cut:
        return "unknown"
    if len(predicted) == len(real):
        return "right"
    return "early" if len(predicted) < len(real) else "late"


def _end_of_trace(alignment: Alignment, halting: str | None) -> tuple[int, int, int]:
    """The end as an event: whether it counts, is predicted rightly, and how often it is predicted."""
    if halting is None:
        return 0, 0, 0
    surplus = len(alignment.predicted.frames) > len(alignment.real.frames)
    if alignment.mode.is_forced:
        early = sum(pair.scored and _is_end(pair) for pair in alignment.pairs)
        reached = halting != "unknown"
        right = reached and not surplus
        return int(reached), int(right), early + right
    counts = halting != "unknown" or surplus
    return int(counts), int(halting == "right"), int(halting != "unknown")


def _is_end(pair: Pair) -> bool:
    return pair.predicted is not None and pair.predicted.event is Event.END


def _path_exact(alignment: Alignment, counts: _Counts, halting: str | None) -> bool | None:
    if not counts.real:
        return None
    if counts.control < counts.real or halting in ("early", "late"):
        return False
    if alignment.mode.kind is ModeKind.REGROUND or halting == "right":
        return True
    return None if len(alignment.predicted.frames) <= len(alignment.real.frames) else False


def _trace_exact(alignment: Alignment, length: int, diverges: bool, halting: str | None) -> bool | None:
    if alignment.mode.kind is not ModeKind.FREE or not length:
        return None
    if diverges or len(alignment.predicted.frames) < len(alignment.real.frames):
        return False
    return True if halting == "right" else None


def _budget_loss(alignment: Alignment, counts: _Counts, real_tokens: int | None) -> str | None:
    predicted = alignment.predicted
    if predicted.outcome is not Outcome.TRUNCATED or alignment.mode.is_forced:
        return None
    if real_tokens is not None and predicted.cost is not None:
        return "structural" if real_tokens > predicted.cost.new_tokens else "runaway"
    return "structural" if counts.real > counts.said else "runaway"


def _output_right(alignment: Alignment) -> bool | None:
    """Whether the value of the entry's own RETURN is right; None if there is none, or it does not count."""
    real, predicted = alignment.real, alignment.predicted
    index = next((i for i in range(len(real.frames) - 1, -1, -1) if _leaves_entry(real.frames[i])), -1)
    if real.value is None or index < predicted.given or index in alignment.mask.values:
        return None
    value = predicted.value
    if alignment.mode.needs_truth:  # the prediction of that very frame
        frame = predicted.frames[index] if index < len(predicted.frames) else None
        value = frame.value if frame is not None and _leaves_entry(frame) else None
    return value is not None and slots_equal(real.value, value, alignment.equality)


def _leaves_entry(frame: Frame) -> bool:
    return frame.depth == 0 and frame.event is Event.RETURN


def _retrieval(hits: int, predicted: int, real: int) -> Retrieval:
    return Retrieval(hits, predicted - hits, real - hits)


def _rates(items: Iterable[tuple[str, bool]]) -> dict[str, Rate]:
    """Hits by name."""
    counts = Counter(items)
    names = dict.fromkeys(name for name, _ in counts)
    return {name: Rate(counts[name, True], counts[name, True] + counts[name, False]) for name in names}

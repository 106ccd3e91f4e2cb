"""One pass over aligned frames that counts what is right in each of them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cwm_trace.eval.comparison.alignment import Alignment, Pair
from cwm_trace.eval.comparison.branches import BranchLines
from cwm_trace.eval.comparison.divergence import Divergence
from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.eval.comparison.value_classes import LAST_BIN, size_bin, value_kind
from cwm_trace.records import Event

_STATEFUL = (Event.CALL, Event.LINE)
_DEEP = 8
_NEW = 0  # lookback of a frame that is the first of its activation
_NOTHING: frozenset[int] = frozenset()


@dataclass(slots=True)
class Counts:
    """What is right among the pairs that count.

    Args:
        real, said: real frames, and predicted ones without those that say the trace has ended.
        exact, event, control: real frames whose counterpart is right in everything, in the event, in event
            and line.
        branches, branch_hits: frames that follow a branch line in their activation; those with `control`.
        states, state_hits: real states; those that are right.
        change_hits, real_changes, predicted_changes: (variable, value) pairs that changed.
        stale: real changes of variables that the prediction leaves alone.
        spurious: predicted changes of variables that really stay.
        masked: values and frames that were left out because another run does not repeat them.
        types, sizes: of changed slots, each with whether its value is right.
        exact_flags, kinds, indices, depths, lookbacks: of the real frames, in order.
        exceptions: pairs with an EXCEPTION on either side.
        tokens: by field, where there are probabilities.
        confidence: by field: the product of the token probabilities, and whether the field is right.
        was_cut: a budget ended the prediction.
    """

    real: int = 0
    said: int = 0
    exact: int = 0
    event: int = 0
    control: int = 0
    branches: int = 0
    branch_hits: int = 0
    states: int = 0
    state_hits: int = 0
    change_hits: int = 0
    real_changes: int = 0
    predicted_changes: int = 0
    stale: int = 0
    spurious: int = 0
    masked: int = 0
    types: list[tuple[str, bool]] = field(default_factory=list)
    sizes: list[tuple[int | None, bool]] = field(default_factory=list)
    exact_flags: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    lookbacks: list[int] = field(default_factory=list)
    exceptions: list[Pair] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    confidence: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    was_cut: bool = False

    def tau(self, divergence: Divergence | None) -> int | None:
        """Real frames before the first wrong one; all that were predicted if none is."""
        if divergence is not None:
            return bisect_left(self.indices, divergence.index)
        if not self.real:
            return None
        return min(self.real, self.said) if self.was_cut else self.real

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
        return dict(kinds)

    def by_position(self) -> dict[str, Rate]:
        """Frames that are exactly right by their index."""
        flags, start, found = self.exact_flags, 0, {}
        while start < len(flags):  # the bins are powers of two
            end = max(1, 2 * start) if start < LAST_BIN else len(flags)
            part = flags[start:end]
            found[size_bin(start)] = Rate(sum(part), len(part))
            start = end
        return found

    def by_depth(self) -> dict[str, Rate]:
        """Frames that are exactly right by depth."""
        pairs = zip(self.depths, self.exact_flags, strict=True)
        return _binned_rates(pairs, lambda depth: str(depth) if depth < _DEEP else f"{_DEEP}+")

    def by_lookback(self) -> dict[str, Rate]:
        """Frames that are exactly right by the frames since the last one of their activation."""
        pairs = zip(self.lookbacks, self.exact_flags, strict=True)
        return _binned_rates(pairs, lambda frames: size_bin(frames) if frames else "new")


def count_pairs(alignment: Alignment) -> Counts:
    """Count the pairs of an alignment."""
    counts = Counts(was_cut=alignment.was_cut)
    _count_frames(counts, alignment)
    for pair in alignment.pairs:
        if (pair.real_changes or pair.predicted_changes) and pair.scored:
            _count_changes(counts, pair)
    _count_masked(counts, alignment)
    return counts


def _count_frames(counts: Counts, alignment: Alignment) -> None:
    branch_lines = BranchLines(alignment.real)
    last_seen: dict[int, int] = {}
    own_branches: dict[int, frozenset[int]] = {}  # branch lines of an activation's function
    after_branch: dict[int, bool] = {}  # whether an activation's last frame was on one
    flags, kinds, indices = counts.exact_flags, counts.kinds, counts.indices
    depths, lookbacks = counts.depths, counts.lookbacks
    said = event = control = branches = branch_hits = states = state_hits = 0
    for pair in alignment.pairs:
        real, predicted, index = pair.real, pair.predicted, pair.index
        is_branch, lookback = False, _NEW
        if real is not None:
            activation = real.activation
            if activation in last_seen:
                lookback = index - last_seen[activation]
                is_branch = after_branch[activation]
            else:
                own_branches[activation] = branch_lines.of(real.file, real.line)
            last_seen[activation] = index
            after_branch[activation] = real.event is Event.LINE and real.line in own_branches[activation]
        if not pair.scored:
            continue
        if predicted is not None and predicted.event is not Event.END:
            said += 1
            if predicted.logprobs:
                _count_tokens(counts, pair, predicted.logprobs)
            if predicted.event is Event.EXCEPTION or (real is not None and real.event is Event.EXCEPTION):
                counts.exceptions.append(pair)
        elif real is not None and real.event is Event.EXCEPTION:
            counts.exceptions.append(pair)
        if real is None:
            continue
        event += pair.event
        control += pair.control
        if is_branch:
            branches += 1
            branch_hits += pair.control
        if pair.state is not None:
            states += 1
            state_hits += pair.state
        flags.append(pair.exact)
        indices.append(index)
        kinds.append("branch" if is_branch and real.event is Event.LINE else real.event.value)
        depths.append(real.depth)
        lookbacks.append(lookback)
    counts.real, counts.exact, counts.said = len(flags), sum(flags), said
    counts.event, counts.control = event, control
    counts.branches, counts.branch_hits = branches, branch_hits
    counts.states, counts.state_hits = states, state_hits


def _count_changes(counts: Counts, pair: Pair) -> None:
    real, predicted = pair.real_changes, pair.predicted_changes
    counts.real_changes += len(real)
    counts.predicted_changes += len(predicted)
    if real and pair.real is not None:
        has_state = pair.predicted is not None and pair.predicted.event in _STATEFUL
        slots = pair.real.changed
        for name, key in real.items():
            if name not in predicted:
                counts.stale += 1
            elif predicted[name] == key:
                counts.change_hits += 1
            slot = slots.get(name)
            if slot is not None:
                right = has_state and name not in pair.wrong
                counts.types.append((value_kind(slot), right))
                counts.sizes.append((slot.size, right))
    for name in predicted:
        if name not in real:
            counts.spurious += 1


def _count_tokens(counts: Counts, pair: Pair, logprobs: Mapping[str, tuple[float, ...]]) -> None:
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
        counts.tokens[name] += len(found)
        total, seen = total + sum(found), True
        if name in right and not (hidden and name in ("locals", "value")):
            counts.confidence.setdefault(name, []).append((math.exp(sum(found)), right[name]))
    if seen:
        counts.confidence.setdefault("frame", []).append((math.exp(total), pair.exact))


def _count_masked(counts: Counts, alignment: Alignment) -> None:
    mask, given, frames = alignment.mask, alignment.predicted.guess.given, len(alignment.real.frames)
    end = frames if mask.end is None else mask.end
    names = sum(len(names) for index, names in mask.names.items() if given <= index < end)
    counts.masked = (
        names + sum(given <= index < end for index in mask.values) + max(0, frames - max(end, given))
    )


def _binned_rates(items: Iterable[tuple[int, bool]], name: Callable[[int], str]) -> dict[str, Rate]:
    """Hits by the name of a number."""
    found: dict[str, list[int]] = {}
    for (number, right), times in sorted(Counter(items).items()):
        rate = found.setdefault(name(number), [0, 0])
        rate[0] += times if right else 0
        rate[1] += times
    return {bin_: Rate(*rate) for bin_, rate in found.items()}


def named_rates(items: Iterable[tuple[str, bool]]) -> dict[str, Rate]:
    """Hits by name."""
    counts = Counter(items)
    names = dict.fromkeys(name for name, _ in counts)
    return {name: Rate(counts[name, True], counts[name, True] + counts[name, False]) for name in names}

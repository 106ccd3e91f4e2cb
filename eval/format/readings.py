"""Which reading of the format's open points a model finds likeliest.

A trace is written in every reading of a field, the rest of the profile as it is. Where the texts part for
the first time, all have the same history: the model is asked how likely each branch is, up to the token that
tells it from the others. What comes after cannot be told apart from how predictable it is (an address has
twelve random digits) and is left out. A trace counts once, since in its later frames a model may copy what it
has read in earlier ones. `module_code` changes the context itself: there a branch follows its own context.

The programs are the units of resampling; a reading is settled where the interval of its lead over every other
one is above 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from cwm_trace.eval.format.reading_programs import record_programs
from cwm_trace.eval.statistics.estimates import FOLDS, draw_programs
from cwm_trace.records import Trace
from cwm_trace.wire.profile import CWM, FormatProfile, readings_of
from cwm_trace.wire.render import render_prompt, render_trace
from cwm_trace.wire.tokens import TraceTokens

Score = Callable[[Sequence[int], int], Sequence[float]]
"""Log-probabilities in nats of `ids[start:]`, each given all ids before it."""

ORDER = ("module_code", "diff_reset", "exception_value", "unwinding_return", "str_iterator", "addresses")
"""The fields, each after those that show earlier in its programs: it is asked for in what was found there."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Readings that write the same ids, and how.

    Args:
        readings: values of the field.
        ids: the whole text up to the token that tells it from every other branch.
        start: where the branches part.
    """

    readings: tuple[str, ...]
    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How likely the readings of a branch are.

    Args:
        readings: values of the field that cannot be told apart here.
        logprob: mean over programs of the branch's log-probability, in nats.
        behind: how far behind the likeliest, in nats; 0 for that one.
        low, high: 95 % interval of `behind`, programs resampled.
    """

    readings: tuple[str, ...]
    logprob: float
    behind: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What a model says of a field.

    Args:
        field: of `FormatProfile`.
        readings: likeliest first.
        settled: the likeliest is ahead of every other one beyond chance.
        chosen: the value for a profile: the likeliest if settled, else the one that was assumed.
        programs: that showed a difference.
    """

    field: str
    readings: tuple[Reading, ...]
    settled: bool
    chosen: str
    programs: int


def probe_format(
    score: Score,
    tokens: TraceTokens,
    *,
    base: FormatProfile = CWM,
    name: str = "probed",
    report: Callable[[Finding], None] = lambda _: None,
) -> tuple[FormatProfile, list[Finding]]:
    """Ask a model for every field.

    Args:
        score: the model.
        tokens: its tokenizer's mapping.
        base: the profile to begin with; what is not settled stays as it is there.
        name: of the profile that comes out.
        report: is told of each field as it is found.

    Returns:
        The profile, and a finding for each field.
    """
    profile, findings = replace(base, name=name), []
    for field in ORDER:
        finding = judge_field(field, record_programs(field), score, tokens, profile)
        profile = replace(profile, **{field: finding.chosen})  # type: ignore[arg-type]
        findings.append(finding)
        report(finding)
    return profile, findings


def judge_field(
    field: str, traces: Sequence[Trace], score: Score, tokens: TraceTokens, profile: FormatProfile
) -> Finding:
    """Ask a model for one field, the others as in `profile`."""
    rows: list[dict[tuple[str, ...], float]] = []
    for trace in traces:
        branches = branch_trace(trace, field, tokens, profile)
        if len(branches) > 1:
            rows.append({branch.readings: sum(score(branch.ids, branch.start)) for branch in branches})
    assumed = str(getattr(profile, field))
    kinds = list(rows[0]) if rows else []
    rows = [row for row in rows if list(row) == kinds]
    if not rows:
        return Finding(field, (), False, assumed, 0)
    means = {kind: sum(row[kind] for row in rows) / len(rows) for kind in kinds}
    best = max(kinds, key=means.__getitem__)
    readings = []
    for kind in sorted(kinds, key=means.__getitem__, reverse=True):
        behind, low, high = _interval([row[best] - row[kind] for row in rows])
        readings.append(Reading(kind, means[kind], behind, low, high))
    settled = all(reading.low > 0 for reading in readings[1:])
    chosen = best[0] if settled and assumed not in best else assumed
    return Finding(field, tuple(readings), settled, chosen, len(rows))


def branch_trace(trace: Trace, field: str, tokens: TraceTokens, profile: FormatProfile) -> list[Branch]:
    """Write a trace in every reading of a field, up to where each differs from all others."""
    texts: dict[tuple[int, ...], list[str]] = {}
    contexts: dict[tuple[int, ...], int] = {}
    for value in readings_of(field) or ():
        reading = replace(profile, **{field: value})  # type: ignore[arg-type]
        ids = tuple(render_trace(trace, profile=reading, tokens=tokens))
        texts.setdefault(ids, []).append(value)
        contexts[ids] = len(render_prompt(trace, given=0, profile=reading, tokens=tokens))
    branches = []
    for ids, values in texts.items():
        context = contexts[ids]
        shared = [
            _shared(ids[context:], other[contexts[other] :]) for other in texts if other is not ids
        ] or [0]
        has_own_context = len(set(contexts.values())) > 1
        start = context if has_own_context else context + min(shared)
        branches.append(Branch(tuple(values), ids[: context + max(shared) + 1], start))
    return branches


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Ids that two texts begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean and percentile interval of a bootstrap over programs."""
    import numpy as np

    values = np.asarray(differences)
    means = np.concatenate([values[draw].mean(axis=1) for draw in draw_programs(len(values), FOLDS, seed=0)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(values.mean()), float(low), float(high)

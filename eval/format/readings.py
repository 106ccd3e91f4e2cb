"""Which reading of the format's open points a model finds likeliest.

A trace is written in every reading of a field, the rest of the profile as it is. Where the texts part, all
have the same history: at each such fork the model is asked how likely the ways on are, among themselves.
Tokens between forks and after the last are left out: they say how well a model spells what it writes (the
name of an error it has not met, twelve digits of an address), not which reading it knows. A trace counts
once, since in its later frames a model may copy what it has read in earlier ones.

`module_code` changes the context itself, so that nothing parts. There the first frame after the CALL of the
entry is judged, in the tokens that it has in every reading. Not the CALL: prompts hold it, and a model may
never have learned to write it.

The programs are the units of resampling; a reading is settled where the whole interval of its lead over every
other one is above `MARGIN`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from cwm_trace.eval.format.reading_programs import record_programs
from cwm_trace.eval.statistics.estimates import FOLDS, draw_programs
from cwm_trace.records import Trace
from cwm_trace.wire.profile import CWM, FormatProfile, readings_of
from cwm_trace.wire.render import render_prompt, render_trace
from cwm_trace.wire.tokens import Special, TraceTokens

Score = Callable[[Sequence[int], int], Sequence[float]]
"""Log-probabilities in nats of `ids[start:]`, each given all ids before it."""

ORDER = ("module_code", "diff_reset", "exception_value", "unwinding_return", "str_iterator", "addresses")
"""The fields, each after those that show earlier in its programs: it is asked for in what was found there."""

MARGIN = math.log(20)
"""Nats by which a reading leads if it is settled: twenty times as likely. A model that has learned nothing
leans somewhere too, in every program alike: to some tokens, and to readings that fewer forks lead to."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Readings that write the same ids, and how.

    Args:
        readings: values of the field.
        ids: the whole text up to the last token that is judged.
        judged: places of the tokens that tell it from the other branches.
    """

    readings: tuple[str, ...]
    ids: tuple[int, ...]
    judged: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How likely the readings of a branch are.

    Args:
        readings: values of the field that cannot be told apart here.
        logprob: mean over programs of the log-probability of the tokens that are judged, in nats; at a fork,
            among the ways on from there.
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
        settled: the likeliest is ahead of every other one by more than `MARGIN`, beyond chance.
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
            rows.append(_weigh_branches(branches, score))
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
    settled = all(reading.low > MARGIN for reading in readings[1:])
    chosen = best[0] if settled and assumed not in best else assumed
    return Finding(field, tuple(readings), settled, chosen, len(rows))


def branch_trace(trace: Trace, field: str, tokens: TraceTokens, profile: FormatProfile) -> list[Branch]:
    """Write a trace in every reading of a field, each up to where it is told from all others."""
    texts: dict[tuple[int, ...], list[str]] = {}
    given: dict[tuple[int, ...], int] = {}
    for value in readings_of(field) or ():
        reading = replace(profile, **{field: value})  # type: ignore[arg-type]
        ids = tuple(render_trace(trace, profile=reading, tokens=tokens))
        texts.setdefault(ids, []).append(value)
        given[ids] = len(render_prompt(trace, profile=reading, tokens=tokens))
    if len({ids[: given[ids]] for ids in texts}) > 1:
        places = _shared_places({ids: given[ids] for ids in texts}, tokens.ids[Special.FRAME])
    else:
        places = {ids: _forks(ids, [other for other in texts if other is not ids]) for ids in texts}
    return [
        Branch(tuple(values), ids[: max(places[ids], default=0) + 1], places[ids])
        for ids, values in texts.items()
    ]


def _weigh_branches(branches: Sequence[Branch], score: Score) -> dict[tuple[str, ...], float]:
    """Ask a model how likely each branch is, by its readings: the sum over its judged tokens, in nats."""
    said: dict[tuple[int, ...], dict[int, float]] = {}
    for branch in branches:
        logprobs = score(branch.ids, branch.judged[0])
        for at in branch.judged:
            said.setdefault(branch.ids[:at], {})[branch.ids[at]] = logprobs[at - branch.judged[0]]
    weights = {}
    for branch in branches:
        weights[branch.readings] = 0.0
        for at in branch.judged:
            ways = said[branch.ids[:at]]
            rest = _log_sum(list(ways.values())) if len(ways) > 1 else 0.0
            weights[branch.readings] += ways[branch.ids[at]] - rest
    return weights


def _forks(ids: Sequence[int], others: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Where others leave a text that they began with."""
    return tuple(sorted({_shared(ids, other) for other in others}))


def _shared_places(given: Mapping[tuple[int, ...], int], end: int) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Where a text's first frame after those given has the tokens that all the others' have there too."""
    frames = {ids: ids[start : ids.index(end, start) + 1] for ids, start in given.items()}
    first = next(iter(frames.values()))
    before = min(_shared(first, frame) for frame in frames.values())
    after = min(_shared(first[before:][::-1], frame[before:][::-1]) for frame in frames.values())
    places = {}
    for ids, frame in frames.items():
        inside = [*range(before), *range(len(frame) - after, len(frame))]
        places[ids] = tuple(given[ids] + at for at in inside)
    return places


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Ids that two texts begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _log_sum(values: Sequence[float]) -> float:
    """The logarithm of the sum of exponentials."""
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


def _interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean and percentile interval of a bootstrap over programs."""
    import numpy as np

    values = np.asarray(differences)
    means = np.concatenate([values[draw].mean(axis=1) for draw in draw_programs(len(values), FOLDS, seed=0)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(values.mean()), float(low), float(high)

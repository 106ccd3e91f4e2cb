"""What headings call predictors and tasks: the shortest names that tell them apart."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from cwm_trace.records import Decoding


def shortest_names(names: Sequence[Sequence[str]], identities: Sequence[Hashable]) -> list[str]:
    """A name for each thing, longer ones only where shorter ones clash.

    Args:
        names: of each thing, from the shortest to the longest.
        identities: things may have one name where these are equal.

    >>> shortest_names([["p", "x/p"], ["p", "y/p"], ["q", "x/q"]], [1, 2, 3])
    ['x/p', 'y/p', 'q']
    """
    chosen = [each[0] for each in names]
    for level in range(1, max(map(len, names), default=0)):
        for group in _clashing(chosen, identities):
            for index in group:
                chosen[index] = names[index][min(level, len(names[index]) - 1)]
    return chosen


def shortest_labels(decodings: Sequence[Decoding]) -> list[str]:
    """A name for each; equal ones only for predictors that are equal.

    The last part of a model's path or address, as many parts as it takes, and then the settings that differ.

    >>> shortest_labels([Decoding("local", "runs/a/model"), Decoding("local", "runs/b/model")])
    ['a/model', 'b/model']
    >>> shortest_labels([Decoding("local", "m", temperature=0.0), Decoding("local", "m", temperature=0.7)])
    ['m temperature=0.0', 'm temperature=0.7']
    """
    digests = [decoding.digest for decoding in decodings]
    labels = shortest_names([_labels(decoding) for decoding in decodings], digests)
    for group in _clashing(labels, digests):
        differing = _differing([decodings[index] for index in group])
        for index in group:
            values = (f" {name}={getattr(decodings[index], name)}" for name in differing)
            labels[index] += "".join(values)
    return labels


def _labels(decoding: Decoding) -> list[str]:
    level = {"frame": "+grammar", "flow": "+flow"}.get(decoding.grammar, "")
    return [f"{name or decoding.predictor}{level}" for name in tails(decoding.model)]


def tails(path: str) -> list[str]:
    """The last part of a path, its last two, and so on.

    >>> tails("runs/a/model")
    ['model', 'a/model', 'runs/a/model']
    """
    parts = path.rstrip("/").split("/")
    return ["/".join(filter(None, parts[-count:])) for count in range(1, len(parts) + 1)]


def _clashing(names: Sequence[str], identities: Sequence[Hashable]) -> list[list[int]]:
    """Groups of different things with one name."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        groups[name].append(index)
    return [group for group in groups.values() if len({identities[index] for index in group}) > 1]


def _differing(decodings: Iterable[Decoding]) -> list[str]:
    rows = [dataclasses.asdict(decoding) for decoding in decodings]
    names = [name for name in rows[0] if len({repr(row[name]) for row in rows}) > 1]
    return [name for name in names if name not in ("model", "sample")] or names

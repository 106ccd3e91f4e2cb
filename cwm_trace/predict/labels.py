"""What headings call predictors: the shortest names that tell them apart."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence

from cwm_trace.records import Decoding


def shortest_labels(decodings: Sequence[Decoding]) -> list[str]:
    """A name for each; equal ones only for predictors that are equal.

    The last part of a model's path or address, as many parts as it takes, and then the settings that differ.

    >>> shortest_labels([Decoding("local", "runs/a/model"), Decoding("local", "runs/b/model")])
    ['a/model', 'b/model']
    >>> shortest_labels([Decoding("local", "m", temperature=0.0), Decoding("local", "m", temperature=0.7)])
    ['m temperature=0.0', 'm temperature=0.7']
    """
    labels = [_label(decoding, 1) for decoding in decodings]
    longest = max((decoding.model.count("/") for decoding in decodings), default=0)
    for parts in range(2, longest + 2):
        for group in _clashing(labels, decodings):
            for index in group:
                labels[index] = _label(decodings[index], parts)
    for group in _clashing(labels, decodings):
        differing = _differing([decodings[index] for index in group])
        for index in group:
            values = (f" {name}={getattr(decodings[index], name)}" for name in differing)
            labels[index] += "".join(values)
    return labels


def _label(decoding: Decoding, parts: int) -> str:
    tail = "/".join(part for part in decoding.model.split("/")[-parts:] if part)
    name = tail or decoding.model or decoding.predictor
    level = {"frame": "+grammar", "flow": "+flow"}.get(decoding.grammar, "")
    return name + level


def _clashing(labels: Sequence[str], decodings: Sequence[Decoding]) -> list[list[int]]:
    """Groups of different predictors with one label."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        groups[label].append(index)
    return [group for group in groups.values() if len({decodings[index].digest for index in group}) > 1]


def _differing(decodings: Iterable[Decoding]) -> list[str]:
    rows = [dataclasses.asdict(decoding) for decoding in decodings]
    names = [name for name in rows[0] if len({repr(row[name]) for row in rows}) > 1]
    return [name for name in names if name not in ("model", "sample")] or names

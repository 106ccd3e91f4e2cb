"""Attention of queries over keys that a part of the memory holds; parts are merged as if they were one.

Letters: N tokens, K heads of keys, G queries of each (grouped-query attention, Ainslie et al. 2023,
arXiv:2305.13245), D numbers of a head, S keys.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cwm_trace.model.light.weights import Array

BLOCK = 128
"""Queries that attend at once: their scores stay in the caches of a processor."""
_FEW = 16
_LOWEST = np.float32(-1e30)  # the top of a part in which a query sees nothing: finite, so that nothing is NaN


class Part(NamedTuple):
    """What queries found among some keys.

    Args:
        mixed: sums of values, weighted by exp(score - top), `(..., D)`.
        top: highest scores, `(..., 1)`.
        total: sums of the weights, `(..., 1)`.
    """

    mixed: Array
    top: Array
    total: Array


def attend(q: Array, keys: Array, values: Array, hidden: npt.NDArray[np.bool_] | None = None) -> Part:
    """Attend with queries `(..., Q, D)`, scaled already, over keys and values `(..., S, D)`.

    Args:
        q: queries.
        keys: keys.
        values: values.
        hidden: what a query does not see among the last keys, `(..., Q, at most S)`.
    """
    if q.shape[-2] <= _FEW:  # twice as fast with the keys on the left
        scores = np.ascontiguousarray((keys @ q.swapaxes(-1, -2)).swapaxes(-1, -2))  # (..., Q, S)
    else:
        scores = q @ keys.swapaxes(-1, -2)
    if hidden is not None:
        np.copyto(scores[..., scores.shape[-1] - hidden.shape[-1] :], -np.inf, where=hidden)
    top: Array = np.maximum(scores.max(axis=-1, keepdims=True, initial=-np.inf), _LOWEST)
    scores -= top
    np.exp(scores, out=scores)
    return Part(scores @ values, top, scores.sum(axis=-1, keepdims=True))


def attend_text(q: Array, keys: Array, values: Array, begin: int, window: int | None) -> Part:
    """Attend from consecutive tokens of one text to what is before them, themselves included.

    Args:
        q: `(N, K, G, D)`.
        keys: of the text in its order, those of these tokens written already, `(K, capacity, D)`.
        values: the same of values.
        begin: number of the first token.
        window: tokens that a query sees, itself counted; None: all.
    """
    count, heads, group, dim = q.shape
    if count == 1:
        first = max(0, begin + 1 - window) if window is not None else 0
        part = attend(q[0], keys[:, first : begin + 1], values[:, first : begin + 1])
        return Part(*(piece[None] for piece in part))
    found = []
    for at in range(0, count, BLOCK):
        rows = q[at : at + BLOCK]  # (T, K, G, D)
        size, end = len(rows), begin + at + len(rows)
        first = max(0, begin + at + 1 - window) if window is not None else 0
        mine, theirs = np.arange(end - size, end)[:, None], np.arange(first, end)
        if window is None or end <= window:  # only tokens of this block can be hidden
            theirs = theirs[-size:]
            hidden = theirs > mine  # (T, T)
        else:
            hidden = (theirs > mine) | (theirs <= mine - window)  # (T, S)
        part = attend(
            rows.swapaxes(0, 1).reshape(heads, size * group, dim),
            keys[:, first:end],
            values[:, first:end],
            hidden.repeat(group, axis=0),
        )
        found.append([piece.reshape(heads, size, group, -1).swapaxes(0, 1) for piece in part])
    return Part(*(np.concatenate(pieces) for pieces in zip(*found, strict=True)))


def merge(one: Part, other: Part) -> Part:
    """What the same queries find among the keys of both parts (Dao et al. 2022, arXiv:2205.14135)."""
    top = np.maximum(one.top, other.top)
    left, right = np.exp(one.top - top), np.exp(other.top - top)
    return Part(one.mixed * left + other.mixed * right, top, one.total * left + other.total * right)

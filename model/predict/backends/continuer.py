"""A model that is asked for continuations of ids: somebody else's engine, or a server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Decoding


@dataclass(frozen=True, slots=True)
class Ask:
    """A text to continue.

    Args:
        ids: the text; not empty.
        max_new_tokens: at the most; text and continuation fit the model.
        stop_ids: tokens that end the continuation, and belong to it.
        seed: of the draws; None: greedy.
        grammar: Lark text that the continuation is to follow; None: anything goes.
    """

    ids: list[int]
    max_new_tokens: int
    stop_ids: frozenset[int]
    seed: int | None = None
    grammar: str | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """The new ids.

    Args:
        ids: up to and including the stop token, or `max_new_tokens` of them.
        logprobs: natural logarithms of their probabilities at temperature 1; None if they were not asked for.
        passes: passes through the model that this text took part in, the prompt's included.
        exhausted: the model says no more, though nothing stopped it: asking again would not help.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None = None
    passes: int = 0
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a draft token is what greedy decoding would have said, and its log-probability."""

    agrees: bool
    logprob: float


class Continuer(Protocol):
    """A model that takes ids and gives ids."""

    @property
    def length(self) -> int | None:
        """Tokens that fit, prompt included; None if nobody says."""

    @property
    def attention(self) -> str:
        """Whose attention it runs, as `Cost` has it; empty: nobody knows."""

    @property
    def can_judge(self) -> bool:
        """Whether it has `judge`."""

    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:
        """Continue each text.

        Raises:
            CwmTraceError: the model cannot be reached, or what it answers is no answer.
        """

    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        """Judge the tokens of `ids` from `start` on, each after the true ones before it, in one pass.

        Returns:
            One for each token; fewer where the model's length ends first.
        """


def check_sampling(decoding: Decoding) -> None:
    """Make sure that tokens can be drawn so.

    Raises:
        CwmTraceError: a value is out of its range.
    """
    if not 0 <= decoding.temperature < float("inf"):
        raise CwmTraceError(f"temperature is {decoding.temperature}: give 0 for greedy or a positive number")
    if not 0 < decoding.top_p <= 1:
        raise CwmTraceError(f"top_p is {decoding.top_p}: give a number above 0 and up to 1")


def seed_for(decoding: Decoding, seed: int, ids: Sequence[int]) -> int | None:
    """The seed of what follows `ids`, in a rollout that has one; None if greedy.

    31 bits, which every server takes. Two continuations of one prediction never share their draws.
    """
    if not decoding.temperature:
        return None
    text = f"{seed} {' '.join(map(str, ids))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

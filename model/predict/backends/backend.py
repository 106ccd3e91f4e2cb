"""What a rollout needs of a model: continue ids until one of them stops it, and judge a draft."""

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


class Backend(Protocol):
    """A model that takes ids and gives ids."""

    @property
    def length(self) -> int | None:
        """Tokens that fit, prompt included; None if nobody says."""

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


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Args:
        temperature: 0 is greedy.
        top_p: probability mass to draw from, in (0, 1].
        seed: of the draws; each sample and each continuation gets one of its own, made from it.

    Raises:
        CwmTraceError: a value is out of its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise CwmTraceError(f"temperature is {self.temperature}: give 0 for greedy or a positive number")
        if not 0 < self.top_p <= 1:
            raise CwmTraceError(f"top_p is {self.top_p}: give a number above 0 and up to 1")

    def decoding(self, predictor: str, model: str, *, constrained: bool = False, dtype: str = "") -> Decoding:
        """What stands in the traces of a predictor that chooses tokens so."""
        seed = self.seed if self.temperature else None
        return Decoding(predictor, model, constrained, self.temperature, self.top_p, seed, dtype=dtype)

    def seed_for(self, sample: int, ids: Sequence[int]) -> int | None:
        """The seed of sample `sample` of what follows `ids`; None if greedy.

        31 bits, which every server takes. Two continuations of one prediction never share their draws.
        """
        if self.temperature == 0:
            return None
        text = f"{self.seed} {sample} {' '.join(map(str, ids))}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


GREEDY = Sampling()

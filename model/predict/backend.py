"""What predicting needs of a model: judge these true tokens, continue these texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.true_frames import Span
from cwm_trace.records import Frame


@dataclass(slots=True)
class Meter:
    """What one prediction has taken so far.

    Args:
        prompt_tokens: tokens that were given to the model.
        passes: passes through it that this prediction took part in.
        attention: whose attention ran in them, as `Cost` has it.
    """

    prompt_tokens: int = 0
    passes: int = 0
    attention: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a rollout begins: it goes on, by its pending tokens, after the first `at` ids of a text."""

    text: Sequence[int]
    at: int
    rollout: Rollout


class Backend(Protocol):
    """A model that takes ids and says what follows them."""

    @property
    def length(self) -> int | None:
        """Tokens that fit, prompt included; None if nobody says."""

    @property
    def together(self) -> int:
        """Rollouts of different requests that it is to be given at once; 1: one is as good as many."""

    def sampler(self, seed: int) -> Any:
        """What draws the tokens of a rollout; None: the backend does, or nobody."""

    def judge(self, ids: Sequence[int], start: int, spans: Sequence[Span], meter: Meter) -> bool:
        """Note in each span where the model would have said something else, the first time.

        Args:
            ids: a true text.
            start: tokens of its prompt.
            spans: in their order; `wrong`, `token` and `logprobs` are set.
            meter: counts.

        Returns:
            Whether it did: a model that cannot judge is asked for everything.
        """

    def write(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        """Continue every rollout until it is done.

        Yields:
            The index of a rollout with each frame of it as it comes, and with None when it is done.

        Raises:
            CwmTraceError: the model does not answer.
        """

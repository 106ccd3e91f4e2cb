"""What the trace engine needs of a decoder: lanes that keep keys and values, logits, the choice of tokens.

Logits stay where they are computed: the engine only picks rows of them and is told ids and log-probabilities,
since those of 2,048 positions over CWM's vocabulary would be a gigabyte to move from a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from cwm_trace.model.predict.vocabulary import Legal, Vocabulary

CHUNK = 2048
"""Tokens of one pass over a text."""


class Choices(Protocol):
    """The tokens chosen at some positions, with their log-probabilities on request."""

    def at(self, position: int, sampler: Any = None) -> tuple[int, float | None]:
        """The token at this position, and its log-probability.

        Args:
            position: among those that are chosen at.
            sampler: draws it, anew each time; None: the likeliest.
        """


class Chooser(Protocol):
    """Chooses tokens under a grammar."""

    def choose(self, logits: Any, legals: Sequence[Legal], *, logprobs: bool) -> Choices:
        """What would come at each position.

        Args:
            logits: `(positions, vocabulary)`, of the decoder that this chooser belongs to.
            legals: what may stand at each.
            logprobs: keep log-probabilities, among what is legal.
        """


class Lanes(Protocol):
    """Where texts keep their keys and values: a lane for each."""

    def feed(self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]]) -> Any:
        """Run the layers.

        Args:
            ids: the next tokens of each lane; lanes may be fed different numbers of them, or none.
            spots: lane and token after which logits are wanted.

        Returns:
            Logits `(spots, vocabulary)`: something that a slice or a list of places picks rows of.
        """

    def accept(self, counts: Sequence[int]) -> None:
        """Keep the first so many of the tokens just fed to each lane; the others are as if never fed."""


class Rows(Lanes, Protocol):
    """Lanes with texts of their own, or with beginnings of one text."""

    def restart(self, row: int, fork: int) -> None:
        """Let a row begin again after the first `fork` tokens of the common text."""

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in this order."""


class Text(Lanes, Protocol):
    """One lane."""

    @property
    def length(self) -> int:
        """Tokens that count."""

    def rollback(self, count: int) -> None:
        """Take back the last `count` tokens."""

    def branches(self, count: int) -> Rows:
        """So many rows that go on from beginnings of this text, which may not change meanwhile."""


@runtime_checkable
class TraceDecoder(Protocol):
    """A model that the trace engine can run."""

    @property
    def engine(self) -> str:
        """Its name in `Decoding`: `torch` or `numpy`."""

    @property
    def dtype(self) -> str:
        """Of the weights, such as `float32`."""

    @property
    def vocab_size(self) -> int:
        """Width of the logits."""

    @property
    def length(self) -> int:
        """Tokens of a text at the most."""

    @property
    def attention(self) -> str:
        """Whose attention the last pass ran, as `Cost` has it."""

    def fingerprint(self) -> str:
        """Digest of the weights in memory."""

    def text(self) -> Text:
        """An empty lane."""

    def rows(self, count: int) -> Rows:
        """So many lanes with texts of their own."""

    def chooser(self, vocabulary: Vocabulary | None) -> Chooser:
        """What chooses tokens; without a vocabulary everything is legal."""

    def sampler(self, temperature: float, top_p: float, seed: int) -> Any:
        """What draws the tokens of one rollout: a stream of its own.

        Raises:
            CwmTraceError: the temperature is negative or `top_p` outside (0, 1].
        """

"""What is asked of a model in words, beside traces: one question, put to completion models and to chats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cwm_trace.records import Decoding


@dataclass(frozen=True)
class Question:
    """A question in both forms.

    Args:
        completion: a text to go on from.
        chat: what a user says.
        stops: texts behind which a completion has ended.
    """

    completion: str
    chat: str
    stops: tuple[str, ...] = ()


class Writer(Protocol):
    """Answers questions in words."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def decoding(self) -> Decoding:
        """Who it is and how it answers."""

    def write(self, question: Question, sample: int = 0) -> str:
        """The answer.

        Args:
            question: what is asked.
            sample: number of the draw, where it draws.

        Raises:
            CwmTraceError: it does not answer; a `RefusedError` if it refuses this question alone.
        """

"""What long work says of itself while it goes on; whoever asked for it decides what is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where long work stands.

    Args:
        what: is being done now.
        done: of it, in all.
        total: of it; None: not known, or not counted.
        before: how much of `done` is of an earlier run.
    """

    what: str
    done: int = 0
    total: int | None = None
    before: int = 0


OnProgress = Callable[[Progress], None]


def say_nothing(progress: Progress) -> None:
    """Nobody wants to know."""

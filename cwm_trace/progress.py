"""What long work says of itself while it goes on; whoever asked for it decides what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TypeVar

_Thing = TypeVar("_Thing")


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


def tell_of_each(things: Iterable[_Thing], what: str, report: OnProgress) -> Iterator[_Thing]:
    """The things one by one; each is told of when the next one is asked for."""
    total = len(things) if isinstance(things, Sized) else None
    for done, thing in enumerate(things, start=1):
        yield thing
        report(Progress(what, done, total))

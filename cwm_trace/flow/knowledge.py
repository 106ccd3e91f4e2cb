"""What is known of one activation along a history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cwm_trace.flow.code import Code
from cwm_trace.flow.region import Place, Region, Regions

NO_NAMES: frozenset[str] = frozenset()


class Spot(NamedTuple):
    """A code object, and where an activation may be in it."""

    regions: Regions
    place: Place

    @property
    def code(self) -> Code:
        """The code object."""
        return self.regions.code

    @property
    def region(self) -> Region:
        """What may run before its next event."""
        return self.regions.of(self.place)


class Activation(NamedTuple):
    """What is known of an activation; replaced, never changed.

    Args:
        number, depth, file, line: of its last frame.
        spots: where it may be; more than one where its code is not sure, none where nothing is known.
        leaving: lines on which the exception of its last frame may leave it.
        raised: lines of its exceptions so far.
        bound: its variables, each with whether its value can never change.
        stored: names that were bound since it last showed its variables; None: any.
        is_suspended: it is a generator that waits.
    """

    number: int
    depth: int
    file: int
    line: int
    spots: tuple[Spot, ...]
    leaving: frozenset[int] = frozenset()
    raised: frozenset[int] = frozenset()
    bound: Mapping[str, bool] = {}
    stored: frozenset[str] | None = NO_NAMES
    is_suspended: bool = False


class Stack(NamedTuple):
    """The running activations of a thread: the one on top, and those below it."""

    top: Activation
    below: Stack | None


def names_at_call(code: Code) -> frozenset[str] | None:
    """Names that a function may show when it is called; None: any."""
    if not code.is_function:
        return None
    return frozenset((*code.arguments, *code.raw.co_freevars))


def fits(code: Code, shown: set[str]) -> bool:
    """Whether an activation of the code may begin with these names."""
    names = names_at_call(code)
    return names is None or (shown <= names and shown.issuperset(code.arguments))

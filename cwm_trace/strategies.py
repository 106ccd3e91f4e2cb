"""Hypothesis strategies that draw whole Python programs, to test tracers and whatever reads traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from string import ascii_lowercase
from typing import TYPE_CHECKING

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.families import FAMILIES
from cwm_trace.datasets.family import Family
from cwm_trace.datasets.generators.wide import MAX_LINE_EVENTS, WIDE
from cwm_trace.datasets.item import Knob
from cwm_trace.datasets.names import NAMES
from cwm_trace.errors import CwmTraceError

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise CwmTraceError(
        "cwm_trace.strategies needs Hypothesis, which is not installed: pip install 'cwm-trace[strategies]'"
    ) from error

__all__ = ["MAX_LINE_EVENTS", "DrawnProgram", "family_programs", "programs"]

if TYPE_CHECKING:
    from hypothesis.vendor.pretty import RepresentationPrinter


@dataclass(frozen=True, slots=True, repr=False)
class DrawnProgram:
    """A drawn program.

    Attributes:
        source: Module source; it defines ``f``, and what ``f`` uses. Ends in a newline.
        call: A call of ``f`` with literal arguments, such as ``f(3, [1, 2], 'ab')``.
    """

    source: str
    call: str

    def __str__(self) -> str:
        return f"{self.source}\n\n{self.call}\n"

    def __repr__(self) -> str:
        return f"DrawnProgram(call={self.call!r}, source=\n{self.source})"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Show Hypothesis the source as it is: its own form of a dataclass has it on one line."""
        printer.text("..." if cycle else repr(self))


@cache
def _below(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, size - 1)


_HUNDREDTHS = st.integers(1, 100)


@st.composite
def _spanned(draw: st.DrawFn, chooser: _Draw, write: Callable[[], None]) -> None:
    """Write within a span of its own, which Hypothesis can delete as a whole when it shrinks."""
    chooser.draw = draw
    write()


class _Draw(Draw):
    """Draws that Hypothesis makes; it shrinks towards the first options."""

    __slots__ = ("draw",)

    def __init__(self, draw: st.DrawFn, split: str) -> None:
        super().__init__("", split)
        self.draw = draw
        self.random = lambda: 1 - self.draw(_HUNDREDTHS) / 100

    def below(self, size: int) -> int:
        """An int from 0 to `size - 1`."""
        return self.draw(_below(size))

    def chance(self, share: float) -> bool:
        """True in some of the draws, unless it is never so or always."""
        return share > 0 and (share >= 1 or self.draw(_below(2)) == 1)

    def apart(self, write: Callable[[], None]) -> None:
        """Write a part of a program that could as well be left out."""
        self.draw(_spanned(self, write))

    def names(self, *roles: str) -> list[str]:
        """Different names, one for each role, of which none is drawn in vain."""
        names: list[str] = []
        for role in roles:
            left = [name for name in NAMES[role] if name not in names]
            names.append(self.pick(left) if left else f"{NAMES[role][0]}{len(names)}")
        return names

    def letters(self, count: int, alphabet: str = ascii_lowercase) -> str:
        """A string of the split, of which only the last letters depend on that."""
        start = "".join(self.pick(alphabet) for _ in range(max(count - 2, 0)))
        for more in range(min(count, 2), 6):
            ends = map("".join, product(dict.fromkeys(alphabet), repeat=more))
            if fitting := [text for end in ends if self.allows(text := start + end)]:
                return self.pick(fitting)
        raise ValueError(f"no string of {alphabet!r} is in {self.split}")


@st.composite
def _drawn(draw: st.DrawFn, family: Family, knobs: dict[str, Knob], split: str) -> DrawnProgram:
    draft = family.draw(_Draw(draw, split), knobs)
    return DrawnProgram(draft.source, draft.call)


def programs(*, max_statements: int = 12, raises: bool = True) -> st.SearchStrategy[DrawnProgram]:
    """Draw small, typed, deterministic Python programs that always end.

    A program is a function `f`, the functions and classes it uses, and a call with literal arguments. It
    holds the statements of a function's body (all but `import`, `async` and nested classes), comprehensions,
    lambdas, closures, recursion, generators, context managers, `match`, aliasing and change in place,
    `print`; of types int, bool, float, str, list, dict, tuple, set, None and classes of its own. It is valid
    on Python 3.10 and later.

    The result, the output and the exception of a run depend on nothing outside the program: no hash seed,
    time or address. (Local variables can hold generators, functions and objects whose `repr` shows an
    address.) A run takes at most `MAX_LINE_EVENTS` line events; ints grow by sums and constant factors alone,
    and what a variable holds has at most 16 items or characters.

    Not covered: imports and the standard library, input, files, threads, `async`, decorators, inheritance,
    descriptors, metaclasses, generators' `send` and `throw`, complex and bytes, deep recursion, and source
    that is hard to parse.

    Args:
        max_statements: Statements in the body of `f`, those inside others not counted.
        raises: Whether expressions and statements may raise, caught or not. Without, nothing raises at all;
            `try` statements still occur.

    Returns:
        A strategy; it shrinks towards `def f(): ... return 0`.

    Raises:
        ValueError: `max_statements` is below 1.
    """
    if max_statements < 1:
        raise ValueError(f"max_statements is {max_statements}; a program has at least 1 statement")
    return _drawn(WIDE, WIDE.settle({"statements": max_statements, "raises": raises}), "train")


def family_programs(
    name: str, *, split: str = "train", knobs: Mapping[str, Knob] | None = None
) -> st.SearchStrategy[DrawnProgram]:
    """Draw programs of a family of `cwm_trace.datasets.families`, which datasets are made of.

    Args:
        name: of the family.
        split: whose constants are used.
        knobs: of the family; those that are left out have their defaults.

    Returns:
        A strategy. Programs of `scripts` have no call: they are run from the first line to the last.

    Raises:
        CwmTraceError: no such family or knob, or a knob out of its range.
    """
    if name not in FAMILIES:
        raise CwmTraceError(f"there is no family {name!r}: choose one of {', '.join(FAMILIES)}")
    return _drawn(FAMILIES[name], FAMILIES[name].settle(knobs or {}), split)

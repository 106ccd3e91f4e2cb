"""What a family of generated programs is: a function that draws one, and the knobs that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.item import Knob
from cwm_trace.errors import CwmTraceError


class Draft(NamedTuple):
    """A drawn program.

    Attributes:
        source: module text; ends in a newline.
        call: an expression such as `f(3)`.
        max_lines: line events of its execution at the most, importing it included.
    """

    source: str
    call: str
    max_lines: int


@dataclass(frozen=True, slots=True)
class Axis:
    """A knob: an axis of later plots.

    Args:
        about: what it sets, with its unit.
        default: what it is where nothing is said.
        low: least value of a number.
        high: greatest value of a number.
        choices: allowed values of a knob that is no number.
    """

    about: str
    default: Knob
    low: float = 0
    high: float = 0
    choices: tuple[Knob, ...] = ()

    def check(self, name: str, value: Knob) -> None:
        """Refuse a value that is not allowed."""
        if self.choices:
            if value not in self.choices or type(value) is not type(self.choices[0]):
                allowed = ", ".join(str(choice) for choice in self.choices)
                raise CwmTraceError(f"knob {name} is {value!r}: choose one of {allowed}")
            return
        kind = type(self.default)
        if isinstance(value, bool) or not isinstance(value, int | kind):
            raise CwmTraceError(f"knob {name} is {value!r}: it takes {_KINDS[kind]}")
        if not self.low <= float(value) <= self.high:
            raise CwmTraceError(f"knob {name} is {value}: it goes from {kind(self.low)} to {kind(self.high)}")


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def flag(about: str, default: bool) -> Axis:
    """A knob that is true or false."""
    return Axis(about, default, choices=(False, True))


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of program.

    Args:
        name: what it is called.
        about: what it is, in one line.
        knobs: by name.
        draw: draws one program; gets a value for every knob.
        outcomes: how its programs may end.
    """

    name: str
    about: str
    knobs: Mapping[str, Axis]
    draw: Callable[[Draw, Mapping[str, Any]], Draft]
    outcomes: tuple[str, ...] = ("returned",)
    defaults: Mapping[str, Knob] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "defaults", {name: axis.default for name, axis in self.knobs.items()})

    def settle(self, knobs: Mapping[str, Knob]) -> dict[str, Knob]:
        """A value for every knob.

        Raises:
            CwmTraceError: no such knob, or a value out of its range.
        """
        for name, value in knobs.items():
            if name not in self.knobs:
                known = ", ".join(self.knobs) or "none"
                raise CwmTraceError(f"family {self.name} has no knob {name!r}: it has {known}")
            self.knobs[name].check(name, value)
        return {**self.defaults, **knobs}

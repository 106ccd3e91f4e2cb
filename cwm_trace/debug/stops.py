"""Where to stop.

Whether a rule stops at a frame depends on that frame and those before it, never on how one got there: so
going back meets the same stops in reverse.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

from cwm_trace.debug.listing import list_file, name_of
from cwm_trace.debug.literals import ExpressionError, evaluate, parse_expression, show_value
from cwm_trace.debug.timeline import Timeline
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Trace


class Place(Protocol):
    """What a rule may stop at, and how to see whether it does."""

    @property
    def reason(self) -> str:
        """The word for it: `breakpoint`, `data breakpoint`, `exception`, …."""

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """Ascending indices of known frames, outside of which it stops nowhere."""

    def matches(self, timeline: Timeline, index: int) -> bool:
        """Whether it stops at this candidate."""

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class AtLine:
    """A line; the call of a function that is defined there counts too.

    Args:
        file, line: which.
        is_definition: a function is called there.
    """

    file: int
    line: int
    is_definition: bool = False
    reason: str = "breakpoint"

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """Frames at the line."""
        lines = timeline.lines.get((self.file, self.line), _NONE)
        calls = timeline.calls.get((self.file, self.line), _NONE) if self.is_definition else _NONE
        return sorted([*lines, *calls]) if lines and calls else lines or calls

    def matches(self, timeline: Timeline, index: int) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def __str__(self) -> str:
        return f"line {self.line}"


def line_place(program: Trace, file: int, line: int) -> AtLine:
    """The line of code at `line`, or the first behind it.

    Raises:
        CwmTraceError: there is none.
    """
    listing = list_file(program.files[file])
    line = listing.line_at(line)
    return AtLine(file, line, is_definition=line in listing.functions.values())


@dataclass(frozen=True)
class AtFunction:
    """The first CALL of each activation of a function."""

    name: str
    file: int
    line: int
    reason: str = "function breakpoint"

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """Its calls."""
        return timeline.calls.get((self.file, self.line), _NONE)

    def matches(self, timeline: Timeline, index: int) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OnWrite:
    """A change of a variable, at the frame that shows it first.

    Args:
        name: of the variable.
        function: only in this one; empty: in any.
    """

    name: str
    function: str = ""
    reason: str = "data breakpoint"

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """Changes of a variable of that name."""
        return timeline.writes.get(self.name, _NONE)

    def matches(self, timeline: Timeline, index: int) -> bool:
        """Whether it is in that function."""
        return not self.function or name_of(timeline, index) == self.function

    def __str__(self) -> str:
        return f"{self.name} changes" + (f" in {self.function}" if self.function else "")


@dataclass(frozen=True)
class OnException:
    """An exception where it is raised.

    Args:
        name: of its type, that of a class below it excluded; empty: any, but those that end loops silently.
        uncaught: only if nothing catches it.
    """

    name: str = ""
    uncaught: bool = False
    reason: str = "exception"

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """EXCEPTION frames."""
        return timeline.exceptions

    def matches(self, timeline: Timeline, index: int) -> bool:
        """Whether it is raised here, and not only on its way."""
        kind = exception_name(timeline.frames[index])
        if kind != self.name if self.name else kind in _SILENT:
            return False
        if self.uncaught:
            return _is_uncaught(timeline, index)
        return not _is_on_its_way(timeline, index)

    def __str__(self) -> str:
        return f"{'uncaught ' if self.uncaught else ''}{self.name or 'exception'}"


_SILENT = ("StopIteration", "StopAsyncIteration", "GeneratorExit")


def exception_name(frame: Frame) -> str:
    """The name of the type of what an EXCEPTION raises, without its module."""
    if frame.value is None:
        return ""
    return (frame.value.type or frame.value.text.partition("(")[0]).rpartition(".")[2]


def _is_on_its_way(timeline: Timeline, index: int) -> bool:
    """Whether the exception has just left a function that this one called."""
    frame, before = timeline.frames[index], index - 1
    while before >= 0 and timeline.frames[before].thread != frame.thread:
        before -= 1
    if before < 0:
        return False
    left = timeline.frames[before]
    return left.event is Event.RETURN and left.value is None and left.depth == frame.depth + 1


def _is_uncaught(timeline: Timeline, index: int) -> bool:
    frame = timeline.frames[index]
    if _is_on_its_way(timeline, index):
        return False
    at = index + 1
    while timeline.reach(at):
        other = timeline.frames[at]
        if other.thread == frame.thread:
            leaves = other.event is Event.RETURN and other.value is None
            if other.event is not Event.EXCEPTION and not leaves:
                return False
            if leaves and not other.depth:
                return True
        at += 1
    return False


@dataclass(frozen=True)
class OnDivergence:
    """The first frame at which a prediction leaves the truth.

    Args:
        first: gives its index in a timeline, as far as both are known; None: there is none.
    """

    first: Callable[[Timeline], int | None] = field(compare=False)
    reason: str = "divergence"

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """That frame."""
        found = self.first(timeline)
        return _NONE if found is None else (found,)

    def matches(self, timeline: Timeline, index: int) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def __str__(self) -> str:
        return "first divergence"


@dataclass(frozen=True)
class OnSurprise:
    """A predicted frame of low probability.

    Args:
        bound: of -log p, in nats.
    """

    bound: float
    reason: str = "surprise"

    def candidates(self, timeline: Timeline) -> Sequence[int]:
        """Frames whose probability is known."""
        return timeline.scored

    def matches(self, timeline: Timeline, index: int) -> bool:
        """Whether it is more surprising than that."""
        return surprise(timeline.frames[index]) > self.bound

    def __str__(self) -> str:
        return f"surprise above {self.bound:g} nats"


def surprise(frame: Frame) -> float:
    """-log p of a frame, in nats, over the tokens that were predicted; 0 where that is not known."""
    return -sum(sum(values) for values in (frame.logprobs or {}).values())


_NONE: tuple[int, ...] = ()
_HITS = re.compile(r"(>=|<=|==|=|>|<|%)?\s*([0-9]{1,9})")


@dataclass(eq=False)
class Rule:
    """A stop: where, and under which condition.

    Args:
        number: by which one refers to it.
        place: where.
        condition: an expression that must be true there; empty: none. Where it cannot be evaluated it is not.
        hits: which of the times that all this holds, counted from the start: `3`, `>3`, `%2`; empty: all.
        log: text to show in the place of stopping; `{expression}` stands for its value.
        once: it goes away when it has stopped something.
        enabled: it is in force.
    """

    number: int
    place: Place
    condition: str = ""
    hits: str = ""
    log: str = ""
    once: bool = False
    enabled: bool = True
    _counted: WeakKeyDictionary[Timeline, list[int]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _held: WeakKeyDictionary[Timeline, dict[int, bool]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )
    _scanned: WeakKeyDictionary[Timeline, int] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if self.hits and not _HITS.fullmatch(self.hits.strip()):
            raise CwmTraceError(f"the hit count {self.hits!r} is none: give 3, >3, >=3, <3 or %3")
        if self.condition.strip():
            parse_expression(self.condition)

    def stops_at(self, timeline: Timeline, index: int) -> bool:
        """Whether it stops at a candidate."""
        if not self._holds(timeline, index):
            return False
        return not self.hits or self._is_counted(self._count(timeline, index))

    def message(self, timeline: Timeline, index: int) -> str:
        """What a log point says at a frame."""
        state = timeline.state(index)

        def value(found: re.Match[str]) -> str:
            try:
                return show_value(evaluate(found.group(1), state))
            except ExpressionError as error:
                return f"<{error}>"

        return re.sub(r"\{([^{}]+)\}", value, self.log)

    def _holds(self, timeline: Timeline, index: int) -> bool:
        if not self.place.matches(timeline, index):
            return False
        if not self.condition:
            return True
        known = self._held.setdefault(timeline, {})
        if index not in known:
            known[index] = self._is_true(timeline, index)
        return known[index]

    def _is_true(self, timeline: Timeline, index: int) -> bool:
        try:
            return bool(evaluate(self.condition, timeline.view(index)))
        except ExpressionError:
            return False

    def _count(self, timeline: Timeline, index: int) -> int:
        """How often it has held up to `index`."""
        found = self._counted.setdefault(timeline, [])
        scanned = self._scanned.get(timeline, -1)
        if index > scanned:
            candidates = self.place.candidates(timeline)
            for at in candidates[bisect_right(candidates, scanned) : bisect_right(candidates, index)]:
                if self._holds(timeline, at):
                    found.append(at)
            self._scanned[timeline] = index
        return bisect_right(found, index)

    def _is_counted(self, count: int) -> bool:
        found = _HITS.fullmatch(self.hits.strip())
        assert found is not None
        number = int(found.group(2))
        match found.group(1):
            case ">":
                return count > number
            case ">=":
                return count >= number
            case "<":
                return count < number
            case "<=":
                return count <= number
            case "%":
                return number > 0 and count % number == 0
            case _:
                return count == number

    def __str__(self) -> str:
        parts = [f"{self.number}: {self.place}"]
        parts += [f"if {self.condition}"] if self.condition else []
        parts += [f"hits {self.hits}"] if self.hits else []
        parts += [f"log {self.log!r}"] if self.log else []
        parts += ["once"] if self.once else []
        parts += [] if self.enabled else ["disabled"]
        return ", ".join(parts)


class Stops:
    """Every rule of a session."""

    def __init__(self) -> None:
        self.rules: dict[int, Rule] = {}
        self._next = 1

    def add(
        self, place: Place, condition: str = "", hits: str = "", log: str = "", *, once: bool = False
    ) -> Rule:
        """A new rule."""
        rule = Rule(self._next, place, condition, hits, log, once)
        self.rules[rule.number] = rule
        self._next += 1
        return rule

    def remove(self, number: int) -> Rule:
        """Take a rule away.

        Raises:
            CwmTraceError: there is none of this number.
        """
        return self.rules.pop(self.find(number).number)

    def find(self, number: int) -> Rule:
        """The rule of this number.

        Raises:
            CwmTraceError: there is none.
        """
        if number not in self.rules:
            known = f"there are {', '.join(map(str, self.rules))}" if self.rules else "none is set"
            raise CwmTraceError(f"there is no stop {number}: {known}")
        return self.rules[number]

    def first(self, timeline: Timeline, after: int, until: int) -> tuple[int, list[Rule]] | None:
        """The first stop behind frame `after`, at `until` at the latest, and the rules that stop there."""
        return self._nearest(timeline, (after + 1, until + 1), backward=False)

    def last(self, timeline: Timeline, before: int, until: int) -> tuple[int, list[Rule]] | None:
        """The last stop before frame `before`, at `until` at the earliest."""
        return self._nearest(timeline, (until, before), backward=True)

    def logs(self, timeline: Timeline, first: int, last: int) -> list[tuple[int, str]]:
        """What log points say from frame `first` to `last`, in their order."""
        found = [
            (index, rule.message(timeline, index))
            for rule in self.rules.values()
            if rule.enabled and rule.log
            for index in _within(rule.place.candidates(timeline), first, last + 1)
            if rule.stops_at(timeline, index)
        ]
        return sorted(found, key=lambda line: line[0])

    def _nearest(
        self, timeline: Timeline, span: tuple[int, int], *, backward: bool
    ) -> tuple[int, list[Rule]] | None:
        best: int | None = None
        rules: list[Rule] = []
        start, end = span
        for rule in self.rules.values():
            if not rule.enabled or rule.log:
                continue
            candidates = rule.place.candidates(timeline)
            for index in _within(candidates, start, end, backward=backward):
                if rule.stops_at(timeline, index):
                    if best is None or index != best:
                        best, rules = index, []
                    rules.append(rule)
                    if backward:
                        start = index
                    else:
                        end = index + 1
                    break
        return None if best is None else (best, rules)


def _within(indices: Sequence[int], start: int, end: int, *, backward: bool = False) -> Iterator[int]:
    """Those of ascending indices from `start` to before `end`."""
    first, last = bisect_left(indices, start), bisect_left(indices, end)
    places = range(last - 1, first - 1, -1) if backward else range(first, last)
    return (indices[at] for at in places)

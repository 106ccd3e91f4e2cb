"""What an activation can do from one event to its next: what it can run without another event.

CPython reports a line when it comes to an instruction of another line than the one before, or jumps back.
Between two such events it may return, yield, raise, call, and bind names; a `Region` says which of these it
can, and where.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from cwm_trace.flow import bytecodes as py
from cwm_trace.flow.code import AT, ENTRY, Code, Edge

Place = frozenset[Edge]
"""Where an activation may be within its code: the ways on which it may have come to its last event."""

_NO_LINE = 0
"""The line of instructions that have none, as a frame shows it."""


class Calls(enum.IntEnum):
    """How a region may enter other code."""

    NEVER = 0
    BY_DROPPING = 1  # finalizers
    BY_OPERATORS = 2  # of objects: attributes, arithmetic, conversions
    BY_CALLING = 3  # calls, iteration, imports


@dataclass(slots=True)
class Region:
    """The instructions between one event of an activation and its next.

    Args:
        lines: where it is when the event of a line is next, by line.
        returns: lines on which it can return.
        yields: where it is suspended, by the line of the yield.
        raises: instructions that can raise with an event, by line.
        escapes: lines on which an exception that was raised before can leave it.
        stores: names that it may bind or unbind.
        imports_all: it has a `from module import *`.
        calls: how it may enter other code.
        own: lines of its instructions.
    """

    lines: dict[int, Place] = field(default_factory=dict)
    returns: set[int] = field(default_factory=set)
    yields: dict[int, Place] = field(default_factory=dict)
    raises: dict[int, list[int]] = field(default_factory=dict)
    escapes: set[int] = field(default_factory=set)
    stores: set[str] = field(default_factory=set)
    imports_all: bool = False
    calls: Calls = Calls.NEVER
    own: set[int] = field(default_factory=set)


class Regions:
    """The regions of one code object, each computed when it is first asked for."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._found: dict[Place, Region] = {}
        self._raised: dict[tuple[Place, int], tuple[Place, bool]] = {}

    def begin(self) -> Place:
        """Where an activation is when it has been called."""
        return frozenset([(ENTRY, 0)])

    def at_line(self, line: int) -> Place:
        """Anywhere on a line: where an activation is whose history nothing is known of."""
        return frozenset((AT, index) for index in self.code.lines.get(line, ()))

    def of(self, place: Place) -> Region:
        """The region that begins at `place`."""
        region = self._found.get(place)
        if region is None:
            region = self._found[place] = self._walk(place)
        return region

    def after_exception(self, place: Place, line: int) -> tuple[Place, bool]:
        """Where an activation is after an exception on a line, and whether the exception may leave it."""
        key = place, line
        if key not in self._raised:
            self._raised[key] = self._catch(self.of(place).raises.get(line, []))
        return self._raised[key]

    def _catch(self, raising: list[int]) -> tuple[Place, bool]:
        code, edges, escapes = self.code, set[Edge](), False
        for index in raising:
            handler = code.handlers[index]
            if handler < 0:
                escapes = True
            else:
                edges.add((index, handler))
            if code.instructions[index].number in py.GOES_ON_AFTER_EXCEPTION:
                edges.update((index, target) for target in code.after[index])
        return frozenset(edges), escapes

    def _walk(self, place: Place) -> Region:
        region, code = Region(), self.code
        instructions, events = code.instructions, dict[int, set[Edge]]()
        seen: set[tuple[int, int | None]] = set()
        todo: list[tuple[int, int | None]] = []

        def arrive(origin: int, target: int, line: int | None, *, raised: bool = False) -> None:
            """Go on at `target`, if an event of its line does not come first."""
            new = instructions[target].line
            happens, goes_on = False, True
            if new is not None:
                came_from = instructions[origin].line
                happens = new != line or target <= origin or came_from is None or raised
                goes_on = new == line
            if happens and new is not None:
                events.setdefault(new, set()).add((AT, target))
            if goes_on:
                todo.append((target, line))

        if not place or any(origin >= 0 for origin, _ in place):
            region.calls = Calls.BY_DROPPING  # an exception clears the stack of values
        for origin, target in place:
            if origin == AT:
                todo.append((target, instructions[target].line))
            elif origin == ENTRY:
                self._enter(region, events)
            else:
                arrive(origin, target, instructions[origin].line, raised=True)
        while todo:
            index, line = todo.pop()
            if (index, line) in seen:
                continue
            seen.add((index, line))
            self._visit(region, index)
            for target in code.after[index]:
                arrive(index, target, line)
            if code.raises_again(instructions[index]):
                handler = code.handlers[index]
                if handler < 0:
                    region.escapes.add(instructions[index].line or _NO_LINE)
                else:
                    arrive(index, handler, line, raised=True)
        region.lines = {line: frozenset(edges) for line, edges in events.items()}
        return region

    def _enter(self, region: Region, events: dict[int, set[Edge]]) -> None:
        """The beginning: the event of the first line always happens."""
        code, at = self.code, self.code.entry
        region.calls = max(region.calls, Calls.BY_DROPPING)
        region.raises.setdefault(code.call_line, []).append(max(at - 1, 0))
        seen = set()
        first = [at]
        while first:
            index = first.pop()
            if index in seen:
                continue
            seen.add(index)
            line = code.instructions[index].line
            if line is not None:
                events.setdefault(line, set()).add((AT, index))
            else:
                self._visit(region, index)
                first.extend(code.after[index])

    def _visit(self, region: Region, index: int) -> None:
        """Count an instruction in."""
        code = self.code
        instruction = code.instructions[index]
        number, line = instruction.number, instruction.line or _NO_LINE
        region.own.add(line)
        if number in py.PLAIN:
            return
        if number in py.RETURNS:
            region.returns.add(line)
        elif number in py.YIELDS:
            before = region.yields.get(line, frozenset())
            region.yields[line] = before | {(AT, index)}
        region.stores.update(code.stored(instruction))
        region.imports_all |= code.imports_all(instruction)
        if number in py.INERT:
            return
        if number in py.DROPS:
            region.calls = max(region.calls, Calls.BY_DROPPING)
            return
        region.raises.setdefault(line, []).append(index)
        region.calls = max(region.calls, Calls.BY_CALLING if number in py.CALLS else Calls.BY_OPERATORS)

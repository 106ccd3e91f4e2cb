"""The lines of a function as a graph: which line events can follow each other when nothing raises."""

from __future__ import annotations

from types import CodeType

from cwm_trace.flow.code import AT, Code
from cwm_trace.flow.region import Place, Regions

_EXIT = 0
"""The successor of a line that returns."""


def line_events(raw: CodeType) -> list[tuple[int, frozenset[int]]]:
    """Every place where a line's event happens, with the lines that can come next from there.

    A line can have several: a call over several lines comes back to its first one, without any choice.
    Exceptions are no edges.
    """
    regions = Regions(Code(raw, 0, None))
    instructions = regions.code.instructions
    found: dict[Place, tuple[int, frozenset[int]]] = {}
    todo = list(_places(regions, regions.begin()))
    while todo:
        place = todo.pop()
        if place in found:
            continue
        region = regions.of(place)
        ((_, index),) = place
        exits = [_EXIT] if region.returns else []
        found[place] = instructions[index].line or 0, frozenset((*region.lines, *exits))
        todo.extend(_places(regions, place))
    return list(found.values())


def line_successors(raw: CodeType) -> dict[int, set[int]]:
    """The lines whose event can come next after each line's within one function; 0 for its return.

    A jump back to the same line is an event of its own.
    """
    found: dict[int, set[int]] = {}
    for line, after in line_events(raw):
        found.setdefault(line, set()).update(after)
    return found


def _places(regions: Regions, place: Place) -> list[Place]:
    """Where the events that can follow may happen, each by itself."""
    edges = {edge for after in regions.of(place).lines.values() for edge in after}
    return [frozenset([edge]) for edge in edges if edge[0] == AT]

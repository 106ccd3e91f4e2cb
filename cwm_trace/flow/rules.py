"""The rules: what an activation that runs can do next, and those that wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cwm_trace.flow import bytecodes as py
from cwm_trace.flow.analysis import Analysis
from cwm_trace.flow.code import Code
from cwm_trace.flow.knowledge import NO_NAMES, Activation, names_at_call
from cwm_trace.flow.legal import EVENTS, Legal, Line
from cwm_trace.flow.region import Calls
from cwm_trace.records import Event


class Rules(NamedTuple):
    """What can come next.

    Args:
        analysis: of the program.
        suspended: generators that wait, by the number of their activation.
    """

    analysis: Analysis
    suspended: Mapping[int, Activation]

    def inside(self, top: Activation) -> Legal:
        """What can come next while `top` runs."""
        regions = [spot.region for spot in top.spots]
        file = top.file
        lines: dict[Event, frozenset[Line] | None] = {}
        following = {line for region in regions for line in region.lines}
        if following:
            lines[Event.LINE] = _in_file(file, following)
        leaving = set(top.leaving)
        for region in regions:
            leaving |= region.returns
            leaving.update(region.yields)
            if region.escapes:
                leaving |= region.escapes | region.own | top.raised  # RERAISE puts the old line back
        if leaving:
            lines[Event.RETURN] = _in_file(file, leaving)
        raising = {line for region in regions for line in region.raises}
        if self.analysis.may_be_interrupted:
            raising |= {line for region in regions for line in region.own} | {top.line}
        if raising:
            lines[Event.EXCEPTION] = _in_file(file, raising)
        calls = self._calls(top)
        is_its_own = True  # the next line, not that of a generator that was thrown into
        if calls is None or calls:
            for one in self.suspended.values() if py.THROW_HAS_NO_CALL else ():
                for event, thrown in self.thrown_into(one).items():
                    lines[event] = (lines.get(event) or frozenset()) | thrown
                    is_its_own &= event is not Event.LINE
            lines[Event.CALL] = calls
        if not lines:  # after an exception where none can be: no Python made this history
            return Legal(EVENTS)
        free = self.free(top) if is_its_own else None
        new = gone = None
        if free is not None:
            new, gone = free - top.bound.keys(), free & top.bound.keys()
        return Legal(frozenset(lines), lines, new, gone, self._unchanged(top, free), self._called(calls))

    def _calls(self, top: Activation) -> frozenset[Line] | None:
        """Lines of the functions that it may enter now; None: any."""
        analysis = self.analysis
        regions = [spot.region for spot in top.spots]
        strength = max(region.calls for region in regions)
        if analysis.may_be_interrupted:
            return None
        found = set[Line]()
        if strength >= Calls.BY_DROPPING:
            found.update((one.file, one.line) for one in self.suspended.values())
        if (
            strength is Calls.NEVER
            or (strength is Calls.BY_DROPPING and not analysis.has_finalizers)
            or (strength is Calls.BY_OPERATORS and not analysis.has_objects)
        ):
            return frozenset(found)
        if analysis.unknown or analysis.opaque or not analysis.functions_are_named:
            return None
        here = {line for region in regions for line in region.own}
        parents = [spot.code for spot in top.spots]
        for (file, line), codes in analysis.codes.items():
            if any(self._may_enter(code, parents, here, strength) for code in codes):
                found.add((file, line))
        return frozenset(found)

    def _may_enter(self, code: Code, parents: list[Code], here: set[int], strength: Calls) -> bool:
        analysis = self.analysis
        if code.is_module:
            return bool(analysis.facts.imports)
        if not code.is_function:
            return strength is Calls.BY_CALLING and code.parent in parents
        if code.name in ("<listcomp>", "<setcomp>", "<dictcomp>"):
            return strength is Calls.BY_CALLING and code.parent in parents and code.call_line in here
        if analysis.escapes(code):
            return True
        return strength is Calls.BY_CALLING and not here.isdisjoint(
            analysis.facts.direct_calls.get(code.name, ())
        )

    def free(self, one: Activation) -> frozenset[str] | None:
        """Names that may have been bound or unbound since it last showed its variables; None: any."""
        found = one.stored
        for spot in one.spots:
            shared = self.analysis.changed_elsewhere(spot.code)
            if found is None or shared is None or spot.region.imports_all:
                return None
            found = found | shared | spot.region.stores
        return found if one.spots else None

    @staticmethod
    def _unchanged(one: Activation, free: frozenset[str] | None) -> frozenset[str]:
        if free is None:
            return NO_NAMES
        return frozenset(name for name, forever in one.bound.items() if forever and name not in free)

    def _called(self, calls: frozenset[Line] | None) -> frozenset[str] | None:
        """Names that a CALL may show."""
        if calls is None:
            return None
        found: set[str] = set()
        for line in calls:
            for code in self.analysis.codes.get(line, ()):
                names = names_at_call(code)
                if names is None:
                    return None
                found |= names
        for one in self.suspended.values():
            free = self.free(one)
            if free is None:
                return None
            found |= free | one.bound.keys()
        return frozenset(found)

    def thrown_into(self, one: Activation) -> dict[Event, frozenset[Line]]:
        """What a generator that waits does next if an exception is thrown into it without a call event.

        If it waits for another one, which deals with the exception, it goes on without an event of its own.
        """
        found = {Event.EXCEPTION: frozenset([(one.file, one.line)])}
        if self.analysis.has_throws:
            regions = [spot.region for spot in one.spots]
            found[Event.LINE] = _in_file(one.file, (line for region in regions for line in region.lines))
            leaving = (line for region in regions for line in (*region.returns, *region.yields))
            found[Event.RETURN] = _in_file(one.file, leaving)
        return found


def _in_file(file: int, lines: Iterable[int]) -> frozenset[Line]:
    return frozenset((file, line) for line in lines)

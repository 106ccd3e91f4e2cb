"""The rules, applied to a history: what may come after the frames so far.

A history may be predicted and hence wrong. The rules speak of the history as given; where it could not have
happened, they start afresh from what its last frames say, and where that says nothing they allow anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cwm_trace.flow import interpreter as py
from cwm_trace.flow.analysis import MODULE, Analysis
from cwm_trace.flow.code import Code
from cwm_trace.flow.legal import ANYTHING, EVENTS, Legal, Line
from cwm_trace.flow.region import Calls, Place, Region, Regions
from cwm_trace.flow.values import is_immutable
from cwm_trace.records import Event, Frame

_NOWHERE: Place = frozenset()
_NAMES: frozenset[str] = frozenset()


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
    stored: frozenset[str] | None = _NAMES
    is_suspended: bool = False


class Stack(NamedTuple):
    """The running activations of a thread: the one on top, and those below it."""

    top: Activation
    below: Stack | None


class Flow:
    """Follows the frames of one program and says what may come next.

    Args:
        analysis: of the program. Where it has a `reason`, anything may come.
        frames: the history so far.
    """

    def __init__(self, analysis: Analysis, frames: Iterable[Frame] = ()) -> None:
        self.analysis = analysis
        self._suspended: dict[int, Activation] = {}
        self._stacks: dict[int, Stack | None] = {}
        self._thread = 0
        self._seen = 0
        for frame in frames:
            self.push(frame)

    def fork(self) -> Flow:
        """A copy that goes on by itself: two small dicts, however long the history and deep the calls are."""
        other = Flow(self.analysis)
        other._suspended = dict(self._suspended)
        other._stacks = dict(self._stacks)
        other._thread, other._seen = self._thread, self._seen
        return other

    def legal(self, thread: int | None = None) -> Legal:
        """What may come next.

        Args:
            thread: whose next frame is meant; None: whichever comes. If the program may have several, that is
                anything.
        """
        if self.analysis.reason or (thread is None and (self.analysis.has_threads or self._thread)):
            return ANYTHING
        stack = self._stacks.get(self._thread if thread is None else thread)
        if stack is None:
            return self._outside(thread)
        top = stack.top
        if not top.spots:
            return Legal(EVENTS)
        return self._inside(top)

    def illegal(self, frame: Frame) -> str:
        """Why a frame cannot come next, by the rules; empty if it can. Does not add it to the history."""
        if self.analysis.reason or frame.event is Event.END:
            return ""
        legal = self.legal(frame.thread)
        if not self._resumes_silently(frame) and not legal.allows(frame.event, frame.file, frame.line):
            lines = legal.lines.get(frame.event)
            known = "no" if frame.event not in legal.events else sorted(lines or ())
            return f"{frame.event.value} on line {frame.line} of file {frame.file}: legal are {known}"
        return self._illegal_names(frame)

    def push(self, frame: Frame) -> None:
        """Add a frame to the history, legal or not."""
        if self.analysis.reason or frame.event is Event.END:
            return
        self._thread = frame.thread
        self._seen += 1
        stack = self._stacks.get(frame.thread)
        if frame.event is Event.CALL:
            while stack and stack.top.depth >= frame.depth:
                stack = stack.below
            after = self._call(frame)
        else:
            before, stack = self._find(stack, frame)
            match frame.event:
                case Event.LINE:
                    after = self._line(before, frame)
                case Event.EXCEPTION:
                    after = self._exception(before, frame)
                case _:
                    after = self._return(before, frame)
        self._suspended.pop(after.number, None)
        if frame.event is not Event.RETURN:
            stack = Stack(after, stack)
        elif after.is_suspended:
            self._suspended[after.number] = after
        self._stacks[frame.thread] = stack

    def _find(self, stack: Stack | None, frame: Frame) -> tuple[Activation, Stack | None]:
        """The activation of a frame that is no CALL, and those below it; those above it have gone unseen.

        One that waits goes on above all others: an exception was thrown past it. Its depth is that of its
        last call.
        """
        if stack and stack.top.number == frame.activation:
            return stack.top, stack.below
        if frame.activation in self._suspended:
            return self._suspended[frame.activation], stack
        while stack and stack.top.depth > frame.depth:
            stack = stack.below
        if stack and stack.top.depth == frame.depth:
            if stack.top.number == frame.activation:
                return stack.top, stack.below
            stack = stack.below
        return self._unknown(frame), stack

    # What is legal

    def _outside(self, thread: int | None) -> Legal:
        """No activation of the thread runs."""
        analysis = self.analysis
        if self._seen == 0 and analysis.entry:
            line = py.MODULE_CALL_LINE if analysis.entry == MODULE else analysis.entry_line
            return Legal(frozenset([Event.CALL]), {Event.CALL: frozenset([(0, line)])})
        events = frozenset([Event.CALL, Event.END])
        is_whole = analysis.entry not in ("", MODULE) and not thread
        if is_whole and not self._suspended:
            events = frozenset([Event.END])
        return Legal(events)

    def _inside(self, top: Activation) -> Legal:
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
        if calls is None or calls:
            for one in self._suspended.values() if py.THROW_HAS_NO_CALL else ():
                for event, thrown in self._thrown_into(one).items():
                    lines[event] = (lines.get(event) or frozenset()) | thrown
            lines[Event.CALL] = calls
        if not lines:  # after an exception where none can be: no Python made this history
            return Legal(EVENTS)
        free = self._free(top)
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
            found.update((one.file, one.line) for one in self._suspended.values())
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

    def _free(self, one: Activation) -> frozenset[str] | None:
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
            return _NAMES
        return frozenset(name for name, forever in one.bound.items() if forever and name not in free)

    def _called(self, calls: frozenset[Line] | None) -> frozenset[str] | None:
        """Names that a CALL may show."""
        if calls is None:
            return None
        found: set[str] = set()
        for line in calls:
            for code in self.analysis.codes.get(line, ()):
                names = _names_at_call(code)
                if names is None:
                    return None
                found |= names
        for one in self._suspended.values():
            free = self._free(one)
            if free is None:
                return None
            found |= free | one.bound.keys()
        return frozenset(found)

    def _thrown_into(self, one: Activation) -> dict[Event, frozenset[Line]]:
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

    def _resumes_silently(self, frame: Frame) -> bool:
        """Whether a frame comes from an exception that was thrown without a call event."""
        one = self._suspended.get(frame.activation)
        if not py.THROW_HAS_NO_CALL or one is None:
            return False
        return (frame.file, frame.line) in self._thrown_into(one).get(frame.event, ())

    def _illegal_names(self, frame: Frame) -> str:
        """Why the variables of a frame cannot be as it shows them."""
        stack = self._stacks.get(frame.thread)
        one = self._suspended.get(frame.activation)
        if frame.event is Event.CALL and one is None:
            return self._illegal_arguments(frame)
        if frame.event is Event.LINE and one is None and stack:
            one = stack.top
            if one.number != frame.activation:
                return f"activation {frame.activation} is not the running one"
        if frame.event not in (Event.CALL, Event.LINE) or one is None or not one.spots:
            return ""
        free = self._free(one)
        if free is None:
            return ""
        for name, slot in frame.changed.items():
            if name not in one.bound and slot is not None and name not in free:
                return f"{name} is new, which only {sorted(free)} may be"
            if name in one.bound and slot is None and name not in free:
                return f"{name} is gone, which only {sorted(free)} may be"
            if one.bound.get(name) and name not in free:
                return f"{name} has changed, which it cannot"
        return ""

    def _illegal_arguments(self, frame: Frame) -> str:
        codes = self.analysis.codes.get((frame.file, frame.line), [])
        if not codes:
            return ""
        shown = {name for name, slot in frame.changed.items() if slot is not None}
        possible = [_names_at_call(code) for code in codes]
        if any(names is None or shown <= names for names in possible):
            return ""
        return f"a call on line {frame.line} shows {sorted(shown)}, which no function there has"

    # What a frame does to the history

    def _call(self, frame: Frame) -> Activation:
        one = self._suspended.get(frame.activation)
        if one is not None:
            one = one._replace(depth=frame.depth, line=frame.line, is_suspended=False)
            return self._show(one._replace(leaving=frozenset()), frame)
        shown = {name for name, slot in frame.changed.items() if slot is not None}
        codes = self.analysis.codes.get((frame.file, frame.line), [])
        fitting = [code for code in codes if _fits(code, shown)] or codes
        regions = [self.analysis.regions(code) for code in fitting]
        spots = tuple(Spot(one, one.begin()) for one in regions)
        new = Activation(frame.activation, frame.depth, frame.file, frame.line, spots)
        return self._show(new, frame)

    def _line(self, one: Activation, frame: Frame) -> Activation:
        spots = tuple(
            Spot(spot.regions, place)
            for spot in one.spots
            if (place := spot.region.lines.get(frame.line)) is not None
        )
        if not spots:
            spots = self._anywhere(one, frame)
        after = one._replace(
            depth=frame.depth, line=frame.line, spots=spots, leaving=frozenset(), is_suspended=False
        )
        return self._show(after, frame)

    def _exception(self, one: Activation, frame: Frame) -> Activation:
        spots, leaves = [], False
        for spot in one.spots or self._anywhere(one, frame):
            place, escapes = spot.regions.after_exception(spot.place, frame.line)
            spots.append(Spot(spot.regions, place))
            leaves |= escapes
        raised = one.raised | {frame.line}
        return one._replace(
            depth=frame.depth,
            line=frame.line,
            spots=tuple(spots),
            leaving=frozenset([frame.line]) if leaves else frozenset(),
            raised=raised,
            stored=self._stored(one),
            is_suspended=False,
        )

    def _return(self, one: Activation, frame: Frame) -> Activation:
        suspended = tuple(
            Spot(spot.regions, place)
            for spot in one.spots
            if (place := spot.region.yields.get(frame.line)) is not None
        )
        return one._replace(
            line=frame.line,
            spots=suspended,
            leaving=frozenset(),
            stored=self._stored(one),
            is_suspended=bool(suspended) and frame.value is not None,
        )

    def _stored(self, one: Activation) -> frozenset[str] | None:
        """Names that it may have bound since it last showed its variables."""
        if one.stored is None or any(spot.region.imports_all for spot in one.spots):
            return None
        return one.stored.union(*(spot.region.stores for spot in one.spots))

    def _show(self, one: Activation, frame: Frame) -> Activation:
        """The frame shows the variables of the activation."""
        if not frame.changed:
            return one if one.stored == _NAMES else one._replace(stored=_NAMES)
        analysis, bound = self.analysis, dict(one.bound)
        for name, slot in frame.changed.items():
            if slot is None:
                bound.pop(name, None)
            else:
                bound[name] = is_immutable(
                    slot, trusts_types=analysis.trusts_types, trusts_texts=analysis.trusts_texts
                )
        return one._replace(bound=bound, stored=_NAMES)

    def _unknown(self, frame: Frame) -> Activation:
        """An activation whose call is not in the history."""
        return Activation(frame.activation, frame.depth, frame.file, frame.line, (), stored=None)

    def _anywhere(self, one: Activation, frame: Frame) -> tuple[Spot, ...]:
        """Anywhere on the frame's line: in its own code, else in any of the file."""
        own = [spot.regions for spot in one.spots]
        codes = [self.analysis.regions(code) for code in self.analysis.codes_of(frame.file)]
        for regions in own, codes:
            spots = tuple(Spot(each, place) for each in regions if (place := each.at_line(frame.line)))
            if spots:
                return spots
        return ()


def _in_file(file: int, lines: Iterable[int]) -> frozenset[Line]:
    return frozenset((file, line) for line in lines)


def _names_at_call(code: Code) -> frozenset[str] | None:
    """Names that a function may show when it is called; None: any."""
    if not code.is_function:
        return None
    return frozenset((*code.arguments, *code.raw.co_freevars))


def _fits(code: Code, shown: set[str]) -> bool:
    """Whether an activation of the code may begin with these names."""
    names = _names_at_call(code)
    return names is None or (shown <= names and shown.issuperset(code.arguments))

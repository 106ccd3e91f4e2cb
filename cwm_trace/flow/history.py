"""The rules, applied to a history: what may come after the frames so far.

A history may be predicted and hence wrong. The rules speak of the history as given; where it could not have
happened, they start afresh from what its last frames say, and where that says nothing they allow anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from cwm_trace.flow import bytecodes as py
from cwm_trace.flow.analysis import MODULE, Analysis
from cwm_trace.flow.constants import is_immutable
from cwm_trace.flow.knowledge import NO_NAMES, Activation, Spot, Stack, fits, names_at_call
from cwm_trace.flow.legal import ANYTHING, EVENTS, Legal
from cwm_trace.flow.rules import Rules
from cwm_trace.records import Event, Frame


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
        for frame in frames:
            self.push(frame)

    def fork(self) -> Flow:
        """A copy that goes on by itself: two small dicts, however long the history and deep the calls are."""
        other = Flow(self.analysis)
        other._suspended = dict(self._suspended)
        other._stacks = dict(self._stacks)
        other._thread = self._thread
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
        return self._rules.inside(top)

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

    @property
    def _rules(self) -> Rules:
        return Rules(self.analysis, self._suspended)

    # What is legal

    def _outside(self, thread: int | None) -> Legal:
        """No activation of the thread runs."""
        analysis = self.analysis
        if analysis.entry and not thread and 0 not in self._stacks:
            line = py.MODULE_CALL_LINE if analysis.entry == MODULE else analysis.entry_line
            return Legal(frozenset([Event.CALL]), {Event.CALL: frozenset([(0, line)])})
        events = frozenset([Event.CALL, Event.END])
        is_whole = analysis.entry not in ("", MODULE) and not thread
        if is_whole and not self._suspended:
            events = frozenset([Event.END])
        return Legal(events)

    def _resumes_silently(self, frame: Frame) -> bool:
        """Whether a frame comes from an exception that was thrown without a call event."""
        one = self._suspended.get(frame.activation)
        if not py.THROW_HAS_NO_CALL or one is None:
            return False
        return (frame.file, frame.line) in self._rules.thrown_into(one).get(frame.event, ())

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
        free = self._rules.free(one)
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
        possible = [names_at_call(code) for code in codes]
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
        fitting = [code for code in codes if fits(code, shown)] or codes
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
            return one if one.stored == NO_NAMES else one._replace(stored=NO_NAMES)
        analysis, bound = self.analysis, dict(one.bound)
        for name, slot in frame.changed.items():
            if slot is None:
                bound.pop(name, None)
            else:
                bound[name] = is_immutable(
                    slot, trusts_types=analysis.trusts_types, trusts_texts=analysis.trusts_texts
                )
        return one._replace(bound=bound, stored=NO_NAMES)

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

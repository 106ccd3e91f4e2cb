"""The stack machine that gives predicted frames what the wire does not write: activations, depths, lines.

CALL pushes, RETURN pops, EXCEPTION marks the activation as unwinding. A generator's resume is a CALL on the
line where it was suspended; where functions are defined on that line too, their names tell which it is.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cwm_trace.records import UNCHANGED, Event, Frame, Outcome, Slot, Trace
from cwm_trace.states import diff_states
from cwm_trace.wire.context import context_lines, find_headings, is_indented, recorded_source
from cwm_trace.wire.functions import Function, Span
from cwm_trace.wire.lines import LineResolver
from cwm_trace.wire.profile import FormatProfile

Fault = tuple[str, str]
"""A validity grade that a frame breaks, and what is wrong."""


class Step(NamedTuple):
    """A frame, and the validity grades it breaks with what is wrong."""

    frame: Frame
    faults: list[Fault]


class _Group(NamedTuple):
    """Of suspended activations on one line: those among which a resume is looked for together."""

    has_ended: bool
    names: frozenset[str]
    codes: tuple[Function, ...]

    def rank(self) -> bool:
        """Those that may have ended come last."""
        return self.has_ended

    def may_show(self, names: Set[str]) -> bool:
        """Whether a CALL that shows these names may continue one of them and need not be a new call."""
        return not names <= self.names and (
            not self.codes or any(code.may_go_on(names) for code in self.codes)
        )


@dataclass(slots=True, eq=False)  # two calls in the same state are two activations
class _Activation:
    number: int
    depth: int
    span: Span | None
    at: int  # context line of its last frame
    names: frozenset[str]  # bound when it was first called
    codes: tuple[Function, ...] = ()  # what it may be an activation of; none: not known
    state: dict[str, Slot] = field(default_factory=dict)
    raised: str | None = None  # SOURCE of its last frame, if that was an EXCEPTION
    slept: int = 0  # number of its last suspension, among all of them
    has_ended: bool = False  # it looks as if it ended there: a generator expression that returned None

    @property
    def group(self) -> _Group:
        return _Group(self.has_ended, self.names, self.codes)

    def copy(self) -> _Activation:
        return replace(self, state=dict(self.state))


_AT_THE_START = frozenset([Event.CALL])
_INSIDE = frozenset([Event.CALL, Event.LINE, Event.RETURN, Event.EXCEPTION])
_BETWEEN = frozenset([Event.CALL, Event.END])  # the entry is a generator: it may be resumed
_AT_THE_END = frozenset([Event.END])


class StackMachine:
    """Follows one trace frame by frame, starting after the frames that `program` already has."""

    def __init__(self, program: Trace, profile: FormatProfile) -> None:
        self._profile = profile
        self._drops_returns = profile.unwinding_return == "dropped"
        self._indented = is_indented(program, profile)
        self._context = context_lines(program, profile)
        self._numbers = {(file, line): at for at, (_, file, line) in enumerate(self._context, start=1)}
        self._resolver = LineResolver([line.text for line in self._context])
        self._entry = self._numbers.get((0, 0 if self._indented else program.entry_line or -1), 0)
        self._headings = find_headings(self._context)
        """The context lines that name files; that with the entry comes last."""
        self._modules = self._headings[:-1]
        """Those of imported files, in their order; a module's CALL stands there."""
        self._seen: set[int] = set()
        """Those of them in whose files frames were."""
        self._stack: list[_Activation] = []
        self._asleep: dict[int, _Activation] = {}
        self._suspended: dict[str | None, dict[_Group, dict[int, _Activation]]] = {}
        """Those of `_asleep` by the line they stand on, their group, and their number."""
        self._count = 0
        self._naps = 0
        self._last: _Activation | None = None
        self._closed = False
        self.outcome = Outcome.INCOMPLETE
        for frame in program.frames:
            self.replay(frame)

    def fork(self) -> StackMachine:
        """A copy that goes on by itself."""
        other = copy.copy(self)
        copies = {id(one): one.copy() for one in (*self._stack, *self._asleep.values())}
        other._stack = [copies[id(one)] for one in self._stack]
        other._asleep, other._suspended = {}, {}
        for one in self._asleep.values():
            other._suspend(copies[id(one)])
        other._last = copies.get(id(self._last))
        other._seen = set(self._seen)
        return other

    @property
    def legal_events(self) -> frozenset[Event]:
        """Events that keep calls and returns balanced."""
        if self._closed:
            return _AT_THE_END
        if self._drops_returns and self._stack and all(one.raised is not None for one in self._stack):
            return _INSIDE | _AT_THE_END  # the exception may have left the entry unseen
        if self._stack:
            return _INSIDE
        return _BETWEEN if self.outcome is not Outcome.INCOMPLETE else _AT_THE_START

    @property
    def running(self) -> int | None:
        """The activation whose next event comes, unless a call does; None outside of all."""
        return self._stack[-1].number if self._stack else None

    def finish(self) -> tuple[Outcome, int]:
        """The end of the trace: how the entry ended, and how many calls are still open."""
        while self._drops_returns and self._stack and self._stack[-1].raised is not None:
            self._return(self._stack[-1], "", raised=True)
        return self.outcome, len(self._stack)

    def step(self, event: Event, source: str, texts: Mapping[str, str] | None, value: str | None) -> Step:
        """Take the next frame.

        Args:
            event: its event.
            source: its SOURCE without the line ending.
            texts: its locals as written; None where it has none or they could not be read.
            value: its VALUE, likewise.
        """
        faults: list[Fault] = []
        if self._closed:
            faults.append(("stack", "a frame after the entry has returned"))
        if event is Event.CALL:
            activation = self._call(source, texts or {})
        else:
            activation = self._current(event, source, faults)
            if event is Event.LINE and source and activation.at in self._modules:
                self._enter_module(activation, source)
            activation.at = self._place(activation, event, source) or activation.at
        has_source = source or not self._may_be_module(activation, event)
        if has_source and source not in self._resolver:
            faults.append(("source", f"the program has no line {source!r}"))
        unwinding = event is Event.RETURN and value == "None" and self._unwinds(activation)
        frame = self._frame(activation, event, source, texts, None if unwinding else value)
        self._last = activation
        activation.raised = source if event is Event.EXCEPTION else None
        if event is Event.RETURN:
            self._return(activation, source, raised=unwinding, value=value)
        return Step(frame, faults)

    def _frame(
        self,
        activation: _Activation,
        event: Event,
        source: str,
        texts: Mapping[str, str] | None,
        value: str | None,
    ) -> Frame:
        file, line = 0, 0
        shows = source in self._resolver or activation.at in self._modules
        if shows and activation.at:
            _, file, line = self._context[activation.at - 1]
            self._see(activation.at, event)
        changed: dict[str, Slot | None] = {}
        if texts is not None:
            state = self._resolve(activation, event, texts)
            changed = diff_states(activation.state, state)
            activation.state = state
        return Frame(
            event=event,
            line=line,
            source=recorded_source(source, indented=self._indented and file == 0),
            activation=activation.number,
            depth=activation.depth,
            file=file,
            changed=changed,
            value=None if value is None else Slot(value),
        )

    def _unwinds(self, activation: _Activation) -> bool:
        """Whether a RETURN of `None` means that an exception leaves the activation."""
        return activation.raised is not None and not self._drops_returns and not _ends_loop(activation.raised)

    def _resolve(self, activation: _Activation, event: Event, texts: Mapping[str, str]) -> dict[str, Slot]:
        in_run = self._last is activation or self._profile.diff_reset == "never"
        known = activation.state
        before = known if in_run and event is Event.LINE else {}
        state = {}
        for name, text in texts.items():
            if text == UNCHANGED:
                state[name] = before.get(name, Slot(UNCHANGED))
            else:
                state[name] = self._recorded(known.get(name), text) or Slot(text)
        return state

    def _recorded(self, slot: Slot | None, text: str) -> Slot | None:
        """The slot of the history that is only written again: it knows more than its text."""
        return slot if slot is not None and slot.type and self._profile.text_of(slot) == text else None

    def _call(self, source: str, texts: Mapping[str, str]) -> _Activation:
        line = self._resolver.resolve(source, after=self._stack[-1].at if self._stack else 0)
        if not self._stack and self._entry and self._text(self._entry) == source:
            line = self._entry
        elif not source:
            line = self._next_module(line)
        activation = self._resumed(source, line, texts)
        if activation is None:
            activation = _Activation(self._count, 0, None, line, frozenset())
            self._begin(activation, texts.keys())
            self._count += 1
        activation.depth = len(self._stack)
        self._stack.append(activation)
        return activation

    def _next_module(self, blank: int) -> int:
        """Where the CALL of a module stands: in the first file unseen, since they are numbered as they come.

        Args:
            blank: the empty line that such a CALL may show instead, if this is none of a module.
        """
        if not self._stack:
            return blank if self._entry else 0
        unseen = [at for at in self._modules if at not in self._seen]
        return (unseen or self._modules[-1:] or [blank])[0]

    def _enter_module(self, activation: _Activation, source: str) -> None:
        """Tell by its first line which module an activation is one of: one that was seen may run again."""
        unseen = [at for at in self._modules if at not in self._seen]
        again = [at for at in self._modules if at in self._seen]
        for at in (activation.at, *unseen, *again):
            if self._resolver.within(source, self._span(at)):
                activation.at, activation.span = at, self._span(at)
                return

    def _see(self, at: int, event: Event) -> None:
        """A frame stands in the file of this line; the CALL of a module may yet be another's."""
        if at and self._headings and (event is not Event.CALL or at not in self._headings):
            self._seen.add(self._headings[bisect_right(self._headings, at) - 1])

    def _may_be_module(self, activation: _Activation, event: Event) -> bool:
        """Whether a frame without a source is a module's: its CALL, or any of one without statements."""
        is_entry = event is Event.CALL and not self._entry and activation.depth == 0
        return activation.at in self._modules or is_entry

    def _text_is_unknown(self, heading: int) -> bool:
        """Whether a file may be one that `exec` made, whose lines are blank where its text was not heard."""
        return self._context[heading - 1].text.endswith(">")

    def _place(self, activation: _Activation, event: Event, source: str) -> int:
        """Where a frame that is no CALL stands: only a LINE moves on."""
        if not source and activation.at in self._modules and not self._text_is_unknown(activation.at):
            return activation.at  # a module without statements
        if event is Event.LINE:
            return self._resolver.follow(source, activation.span, activation.at)
        return self._resolver.resolve(source, activation.span, activation.at - 1)

    def _begin(self, activation: _Activation, names: Set[str]) -> None:
        """Tell what a new activation is one of, by its line and the names that its CALL shows."""
        activation.names = frozenset(names)
        if activation.at:
            codes = self._resolver.functions(activation.at)
            activation.codes = tuple(code for code in codes if code.may_begin(names)) or tuple(codes)
            spans = [code.span for code in activation.codes] or [self._span(activation.at)]
            activation.span = min(spans, key=lambda span: span[1] - span[0])

    def _span(self, at: int) -> Span:
        """The lines among which an activation goes on that begins here, where no function does."""
        if at not in self._modules:
            return self._resolver.span(at)
        return at, self._headings[self._headings.index(at) + 1] - 1

    def _resumed(self, source: str, line: int, texts: Mapping[str, str]) -> _Activation | None:
        """The suspended activation that a CALL on this line continues, if it is one.

        Where functions are defined on the line, the CALL of one may be new. It continues one that waits if it
        shows more than that showed when it was new, and all that it has bound.
        """
        found, most = None, (-1, -1)
        may_be_new = bool(self._resolver.functions(line))
        groups = self._suspended.get(source, {})
        for group in sorted(groups, key=_Group.rank):
            if group.has_ended and found is not None:
                break
            if may_be_new and not group.may_show(texts.keys()):
                continue
            for activation in reversed(groups[group].values()):  # of two that fit as well, the latest
                if may_be_new and not activation.state.keys() <= texts.keys():
                    continue
                shared = _shared(activation, texts)
                if (shared, activation.slept) > most:
                    found, most = activation, (shared, activation.slept)
                if shared == len(texts):
                    break  # none before it can fit better
        if found is not None:
            self._wake(found)
        return found

    def _suspend(self, activation: _Activation) -> None:
        self._asleep[activation.number] = activation
        groups = self._suspended.setdefault(self._text(activation.at), {})
        groups.setdefault(activation.group, {})[activation.number] = activation

    def _wake(self, activation: _Activation) -> None:
        del self._asleep[activation.number]
        del self._suspended[self._text(activation.at)][activation.group][activation.number]

    def _current(self, event: Event, source: str, faults: list[Fault]) -> _Activation:
        while len(self._stack) > 1 and self._drops(event, source):
            self._return(self._stack[-1], "", raised=True)
        if not self._stack:
            if not self._closed:
                faults.append(("stack", f"a {event.value} frame before any call"))
            self._stack.append(_Activation(self._count, 0, None, 0, frozenset()))
            self._count += 1
        return self._stack[-1]

    def _drops(self, event: Event, source: str) -> bool:
        """Whether the profile hides that the exception has left the current activation.

        It has if what comes next is elsewhere, or, in a recursive function, on the line of the call.
        """
        caller, top = self._stack[-2:]
        if not self._drops_returns or top.raised is None:
            return False
        if event is Event.EXCEPTION and source == self._text(caller.at):
            return True
        return not self._resolver.within(source, top.span)

    def _text(self, at: int) -> str | None:
        return self._context[at - 1].text if at else None

    def _return(
        self, activation: _Activation, source: str, *, raised: bool, value: str | None = None
    ) -> None:
        if self._is_open(activation):
            del self._stack[activation.depth :]
        is_pause = "yield" in source or "await" in source
        may_resume = not raised and (
            any(activation.at in code.waits for code in activation.codes) if activation.codes else is_pause
        )
        if may_resume:
            self._naps += 1
            activation.slept = self._naps
            activation.has_ended = value == "None" and not is_pause
            self._suspend(activation)
        if not self._stack:
            self._closed = not (may_resume and "yield" in source)
            self.outcome = Outcome.RAISED if raised else Outcome.RETURNED

    def _is_open(self, activation: _Activation) -> bool:
        depth = activation.depth
        return depth < len(self._stack) and self._stack[depth] is activation

    def replay(self, frame: Frame) -> None:
        """Take a frame of the history, whose activation and line are known."""
        if frame.thread:
            self._see(self._numbers.get((frame.file, frame.line), 0), frame.event)
        if frame.thread or frame.event is Event.END:
            return
        activation, is_new = self._known(frame)
        activation.at = self._numbers.get((frame.file, frame.line), activation.at)
        self._see(activation.at, frame.event)
        for name, slot in frame.changed.items():
            if slot is None:
                activation.state.pop(name, None)
            else:
                activation.state[name] = slot
        if frame.event is Event.CALL and is_new:
            self._begin(activation, activation.state.keys())
        self._last = activation
        activation.raised = frame.source if frame.event is Event.EXCEPTION else None
        if frame.event is Event.RETURN:
            text = None if frame.value is None else frame.value.text
            self._return(activation, frame.source, raised=text is None, value=text)

    def _known(self, frame: Frame) -> tuple[_Activation, bool]:
        """The activation of a known frame, and whether this is its first."""
        if frame.activation < self._count:  # else it is a new one
            for activation in reversed(self._stack):
                if activation.number == frame.activation:
                    return activation, False
        sleeper = self._asleep.get(frame.activation)
        if sleeper is None:
            activation = _Activation(frame.activation, 0, None, 0, frozenset())
            self._count = max(self._count, frame.activation + 1)
        else:
            activation = sleeper
            self._wake(activation)
        activation.depth = len(self._stack)
        self._stack.append(activation)
        return activation, sleeper is None


def _shared(activation: _Activation, texts: Mapping[str, str]) -> int:
    return sum(texts.get(name) == slot.text for name, slot in activation.state.items())


def _ends_loop(source: str) -> bool:
    """Whether an exception on this line may be the StopIteration that ends a loop."""
    return source.lstrip().startswith(("for ", "async for "))

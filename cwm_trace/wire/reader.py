"""One trace read frame by frame: what the wire writes to records, with what is wrong in it.

A reader starts after the frames of a program's history, takes further known frames (`push`) or written ones
(`read`), and can be forked, so that many continuations of one history are read without replaying it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from cwm_trace.records import Event, Frame, Outcome, Trace
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.render import STATEFUL, FrameRenderer, main_thread
from cwm_trace.wire.stack import Fault, StackMachine
from cwm_trace.wire.texts import parse_locals, parse_value
from cwm_trace.wire.tokens import TOKEN_EVENTS, Piece, Special


class FrameReader:
    """Reads the frames of one trace.

    Args:
        program: the program, and the frames that are known.
        profile: which reading of the format to assume.
    """

    def __init__(self, program: Trace, profile: FormatProfile) -> None:
        self.program = program
        self._stack = StackMachine(program, profile)
        self._renderer = FrameRenderer(program, profile)
        self.texts: tuple[str, str] | None = None
        """The two texts of the last frame that was read; None if it was not whole."""
        for frame in main_thread(program):
            self._renderer.render(frame)

    def fork(self) -> FrameReader:
        """A copy that goes on by itself."""
        other = copy.copy(self)
        other._stack, other._renderer = self._stack.fork(), self._renderer.fork()
        return other

    @property
    def entry_outcome(self) -> Outcome | None:
        """How the entry's own frame was left; None while it is open."""
        return None if self._stack.outcome is Outcome.INCOMPLETE else self._stack.outcome

    @property
    def legal_events(self) -> frozenset[Event]:
        """What may come next if calls and returns are to stay balanced; `END` is the end of the trace."""
        return self._stack.legal_events

    def push(self, frame: Frame) -> list[Piece]:
        """Take a known frame of the first thread; returns its pieces on the wire, the separator included."""
        self._stack.replay(frame)
        return self._renderer.render(frame)

    def unchanged_texts(self) -> dict[str, str]:
        """What a LINE of the running activation shows of each variable that has not changed.

        Each as it stands between its quotes: `..`, or the value in full after frames of other activations.
        """
        activation = self._stack.running
        return {} if activation is None else self._renderer.unchanged_texts(activation)

    def known_names(self) -> list[str]:
        """The variables that the running activation has shown, bound or not, in the order of their frames."""
        activation = self._stack.running
        return [] if activation is None else self._renderer.known_names(activation)

    def read(self, pieces: Sequence[Piece]) -> tuple[Frame | None, list[Fault]]:
        """Take what stands before a frame separator.

        Returns:
            The frame, with its two texts in `raw` where rendering would write others; None if no event starts
            it. And the validity grades that it breaks, each with what is wrong.
        """
        self.texts = None
        event = next(
            (TOKEN_EVENTS[p] for p in pieces[:1] if isinstance(p, Special) and p in TOKEN_EVENTS), None
        )
        if event is None:
            return None, [("tokens", "a frame that does not start with an event")]
        texts = [piece for piece in pieces if not isinstance(piece, Special)]
        if event in STATEFUL:
            well_formed = pieces[1:] == [*texts[:1], Special.ACTION, *texts[1:]]
        else:
            well_formed = pieces[1:] == [Special.ACTION, *texts[:1], Special.ARG, *texts[1:]]
        if not well_formed or len(texts) != 2:
            return self.read_broken(event, "tokens", f"a {event.value} frame with parts missing or added")
        return self._read_texts(event, texts[0], texts[1])

    def read_broken(self, event: Event, grade: str, message: str) -> tuple[Frame, list[Fault]]:
        """Take a frame of which nothing but the event can be told."""
        return self._stack.step(event, "", None, None).frame, [(grade, message)]

    def end(self) -> tuple[Outcome, list[Fault]]:
        """Take the end token: the outcome, and what is wrong with ending here."""
        outcome, open_calls = self._stack.finish()
        if open_calls:
            return Outcome.RAISED, [("stack", f"the trace ends with {open_calls} calls open")]
        if outcome is Outcome.INCOMPLETE:
            return Outcome.RAISED, [("stack", "the trace ends before any call")]
        return outcome, []

    def _read_texts(self, event: Event, first: str, second: str) -> tuple[Frame, list[Fault]]:
        source, state, value = first, None, None
        if event in STATEFUL:
            source = second
            state, fault = parse_locals(first)
        else:
            value, fault = parse_value(second)
        step = self._stack.step(event, source.removesuffix("\n"), state, value)
        faults: list[Fault] = [("locals", fault)] if fault else []
        faults += step.faults
        frame = step.frame
        self.texts = first, second
        if self._renderer.texts(frame) != (first, second):
            frame = replace(frame, raw=(first, second))
        return frame, faults

"""The wire form to records. The parser is total: any ids or text give frames and the problems they have.

Validity has four grades, in this order: `tokens` (every frame has its special tokens in their order),
`locals` (LOCALS is a JSON object of strings, VALUE a JSON string), `stack` (calls and returns are balanced),
`source` (SOURCE is a line of the program). A last frame that was cut off is `truncated`, which is no fault.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cwm_trace.records import Event, Frame, Outcome, Problem, SourceFile, Trace
from cwm_trace.wire.context import parse_context
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import STATEFUL, FrameRenderer, main_thread
from cwm_trace.wire.stack import StackMachine
from cwm_trace.wire.texts import parse_locals, parse_value
from cwm_trace.wire.tokens import TOKEN_EVENTS, Piece, Special, TraceTokens

_SPECIAL = re.compile("|".join(re.escape(token.value) for token in Special))


def parse_trace(
    data: str | Sequence[int],
    *,
    program: Trace | None = None,
    profile: FormatProfile = CWM,
    tokens: TraceTokens | None = None,
) -> Trace:
    """Read a trace, or frames alone, as a model writes them.

    Args:
        data: text, or ids together with `tokens`. It may start with a context.
        program: whose execution it is, if `data` has no context: files and entry are taken from it, and
            its frames are the history that `data` continues.
        profile: which reading of the format to assume.
        tokens: the mapping that made the ids.

    Returns:
        A trace with `problems`. Lines and activations come from a stack machine, since the wire has none.
        Its outcome is `incomplete` without an end token, and `raised` if that comes before the entry's
        return; what a real `program` knows of its own run (interpreter, output, exit code) is left out.
    """
    parser = TraceParser(program, profile)
    pieces = parser.take_context(list(split(data, tokens)))
    for position, piece in pieces:
        parser.take(position, piece)
    return parser.finish()


def split(data: str | Sequence[int], tokens: TraceTokens | None) -> Iterator[tuple[int, Piece]]:
    """Special tokens and the text between them, each with its position in `data`."""
    if isinstance(data, str):
        start = 0
        for match in _SPECIAL.finditer(data):
            if match.start() > start:
                yield start, data[start : match.start()]
            yield match.start(), Special(match.group())
            start = match.end()
        if start < len(data):
            yield start, data[start:]
        return
    if tokens is None:
        raise TypeError("ids need `tokens`, the mapping that made them")
    names = {number: token for token, number in tokens.ids.items()}
    start = 0
    for position, number in enumerate(data):
        if number in names:
            if position > start:
                yield start, tokens.decode(data[start:position])
            yield position, names[number]
            start = position + 1
    if start < len(data):
        yield start, tokens.decode(data[start:])


class TraceParser:
    """Reads what a model writes as it comes, after the frames that `program` already has.

    Attributes:
        frames: those of the history and those read.
        problems: what is wrong with them.
        outcome: `incomplete` until an end token was read.
        texts: of the last frame that was read whole, locals and source or source and value, as written.
    """

    def __init__(self, program: Trace | None, profile: FormatProfile = CWM) -> None:
        self._profile = profile
        self.frames: list[Frame] = list(program.frames) if program else []
        self.problems: list[Problem] = list(program.problems) if program else []
        self.outcome = Outcome.INCOMPLETE
        self.texts: tuple[str, str] | None = None
        self._before = 0  # frames of the parser that this one is a fork of
        self._given = len(self.frames)
        self._buffer: list[tuple[int, Piece]] = []
        self._ended = False
        self._start(program or Trace(files=(SourceFile("<context>", ""),), entry=""))

    def _start(self, program: Trace) -> None:
        self._program = program
        self._stack = StackMachine(program, self._profile)
        self._renderer = FrameRenderer(program, self._profile)
        for frame in main_thread(program):
            self._renderer.render(frame)

    @property
    def entry_outcome(self) -> Outcome | None:
        """How the entry's own frame was left; None while it is open."""
        return None if self._stack.outcome is Outcome.INCOMPLETE else self._stack.outcome

    def fork(self) -> TraceParser:
        """A parser that goes on from here by itself; its `frames` and `problems` are those it reads."""
        other = copy.copy(self)
        other.frames, other.problems = [], []
        other._before, other._given = self._before + len(self.frames), 0
        other._buffer = list(self._buffer)
        other._stack, other._renderer = self._stack.fork(), self._renderer.fork()
        return other

    def push(self, frame: Frame) -> None:
        """Take a frame that is known: one more of the history."""
        if frame.thread == 0 and frame.event is not Event.END:
            self._stack.replay(frame)
            self._renderer.render(frame)
        self.frames.append(frame)

    def feed(self, ids: Sequence[int], tokens: TraceTokens, position: int = 0) -> None:
        """Read ids, of whole frames unless they are the last ones; the first stands at `position`."""
        for offset, piece in split(ids, tokens):
            self.take(position + offset, piece)

    def take(self, position: int, piece: Piece) -> None:
        """Read one piece."""
        if self._ended:
            return
        if self.outcome is not Outcome.INCOMPLETE:
            self._problem("tokens", position, "text after the end of the trace")
            self._ended = True
        elif piece is Special.FRAME:
            self._take_frame(self._buffer, position)
            self._buffer = []
        elif piece is Special.END:
            self._end(self._buffer, position)
            self._buffer = []
        else:
            self._buffer.append((position, piece))

    def finish(self) -> Trace:
        """What has been read."""
        if self._buffer:
            self._problem("truncated", self._buffer[0][0], "the last frame was cut off")
            self._buffer = []
        return replace(
            self._program,
            frames=tuple(self.frames),
            outcome=self.outcome,
            problems=tuple(self.problems),
            profile=self._profile.name,
            given=self._given,
            python="",
            exit_code=None,
            output=None,
            skipped=0,
            not_recorded=(),
            warnings=(),
        )

    def take_context(self, pieces: list[tuple[int, Piece]]) -> list[tuple[int, Piece]]:
        """Read the context that the pieces may start with; returns the rest."""
        kinds = [piece for _, piece in pieces[:4]]
        skip = 1 if kinds[:1] == [Special.BEGIN] else 0
        match kinds[skip:]:
            case [Special.CONTEXT, Special.FRAME, *_]:
                return pieces[skip + 2 :]
            case [Special.CONTEXT, str(text), *rest]:
                files, entry, entry_line = parse_context(text)
                self.frames, self.problems, self._given = [], [], 0
                self._start(Trace(files=files, entry=entry, entry_line=entry_line))
                if rest and rest[0] is not Special.FRAME:
                    self._problem(
                        "tokens", pieces[skip + 2][0], "the context does not end in a frame separator"
                    )
                return pieces[skip + 2 + (rest[:1] == [Special.FRAME]) :]
            case _:
                return pieces[skip:]

    def _take_frame(self, buffer: list[tuple[int, Piece]], end: int) -> None:
        start = buffer[0][0] if buffer else end
        self.texts = None
        pieces = [piece for _, piece in buffer]
        event = next(
            (TOKEN_EVENTS[p] for p in pieces[:1] if isinstance(p, Special) and p in TOKEN_EVENTS), None
        )
        if event is None:
            self._problem("tokens", start, "a frame that does not start with an event")
            return
        texts = [piece for piece in pieces if not isinstance(piece, Special)]
        if event in STATEFUL:
            well_formed = pieces[1:] == [*texts[:1], Special.ACTION, *texts[1:]]
        else:
            well_formed = pieces[1:] == [Special.ACTION, *texts[:1], Special.ARG, *texts[1:]]
        if well_formed and len(texts) == 2:
            self._add(event, texts[0], texts[1], start)
        else:
            self._problem("tokens", start, f"a {event.value} frame with parts missing or added")
            self.frames.append(self._stack.step(event, "", None, None).frame)

    def _add(self, event: Event, first: str, second: str, position: int) -> None:
        source, state, value = first, None, None
        if event in STATEFUL:
            source = second
            state, fault = parse_locals(first)
        else:
            value, fault = parse_value(second)
        if fault:
            self._problem("locals", position, fault)
        step = self._stack.step(event, source.removesuffix("\n"), state, value)
        for grade, message in step.faults:
            self._problem(grade, position, message)
        frame = step.frame
        self.texts = first, second
        if self._renderer.texts(frame) != (first, second):
            frame = replace(frame, raw=(first, second))
        self.frames.append(frame)

    def _end(self, buffer: list[tuple[int, Piece]], position: int) -> None:
        if buffer:
            self._problem("tokens", buffer[0][0], "the trace ends inside a frame")
        self.outcome, open_calls = self._stack.finish()
        if open_calls:
            self._problem("stack", position, f"the trace ends with {open_calls} calls open")
        elif self.outcome is Outcome.INCOMPLETE:
            self._problem("stack", position, "the trace ends before any call")
        if open_calls or self.outcome is Outcome.INCOMPLETE:
            self.outcome = Outcome.RAISED

    def _problem(self, grade: str, position: int, message: str) -> None:
        self.problems.append(Problem(grade, self._before + len(self.frames), position, message))

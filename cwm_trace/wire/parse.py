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

from cwm_trace.plain import resting_collector
from cwm_trace.records import Event, Frame, Outcome, Problem, Program, Run, SourceFile, Trace
from cwm_trace.wire.context import parse_context
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.tokens import Piece, Special, TraceTokens

_TOKENS = {token.value: token for token in Special}
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
    with resting_collector():
        for position, piece in parser.take_context(list(split(data, tokens))):
            parser.take(position, piece)
    return parser.finish()


def split(data: str | Sequence[int], tokens: TraceTokens | None) -> Iterator[tuple[int, Piece]]:
    """Special tokens and the text between them, each with its position in `data`."""
    if isinstance(data, str):
        start = 0
        for match in _SPECIAL.finditer(data):
            if match.start() > start:
                yield start, data[start : match.start()]
            yield match.start(), _TOKENS[match.group()]
            start = match.end()
        if start < len(data):
            yield start, data[start:]
        return
    if tokens is None:
        raise TypeError("ids need `tokens`, the mapping that made them")
    names = tokens.specials
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
    """

    def __init__(self, program: Trace | None, profile: FormatProfile = CWM) -> None:
        self._profile = profile
        self.frames: list[Frame] = list(program.frames) if program else []
        self.problems: list[Problem] = list(program.guess.problems) if program else []
        self.outcome = Outcome.INCOMPLETE
        self._before = 0  # frames of the parser that this one is a fork of
        self._given = len(self.frames)
        self._buffer: list[tuple[int, Piece]] = []
        self._ended = False
        self._start(program or Trace(Program((SourceFile("<context>", ""),))))

    def _start(self, program: Trace) -> None:
        self._program = program
        self._reader = FrameReader(program, self._profile)

    @property
    def entry_outcome(self) -> Outcome | None:
        """How the entry's own frame was left; None while it is open."""
        return self._reader.entry_outcome

    @property
    def legal_events(self) -> frozenset[Event]:
        """What may come next; see `FrameReader`."""
        return self._reader.legal_events

    @property
    def texts(self) -> tuple[str, str] | None:
        """The two texts of the last frame, as they were written; None if it was not read whole."""
        return self._reader.texts

    def fork(self) -> TraceParser:
        """A parser that goes on from here by itself; its `frames` and `problems` are those it reads."""
        other = copy.copy(self)
        other.frames, other.problems = [], []
        other._before, other._given = self._before + len(self.frames), 0
        other._buffer = list(self._buffer)
        other._reader = self._reader.fork()
        return other

    def push(self, frame: Frame) -> None:
        """Take a frame that is known: one more of the history."""
        if frame.thread == 0 and frame.event is not Event.END:
            self._reader.push(frame)
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
            self._take_frame(position)
        elif piece is Special.END:
            self._take_end(position)
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
            profile=self._profile.name,
            warnings=(),
            run=Run(),
            guess=replace(self._program.guess, given=self._given, problems=tuple(self.problems)),
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
                self._start(Trace(Program(files, entry, entry_line)))
                if rest and rest[0] is not Special.FRAME:
                    self._problem(
                        "tokens", pieces[skip + 2][0], "the context does not end in a frame separator"
                    )
                return pieces[skip + 2 + (rest[:1] == [Special.FRAME]) :]
            case _:
                return pieces[skip:]

    def _take_frame(self, end: int) -> None:
        buffer, self._buffer = self._buffer, []
        frame, faults = self._reader.read([piece for _, piece in buffer])
        for grade, message in faults:
            self._problem(grade, buffer[0][0] if buffer else end, message)
        if frame is not None:
            self.frames.append(frame)

    def _take_end(self, position: int) -> None:
        if self._buffer:
            self._problem("tokens", self._buffer[0][0], "the trace ends inside a frame")
            self._buffer = []
        self.outcome, faults = self._reader.end()
        for grade, message in faults:
            self._problem(grade, position, message)

    def _problem(self, grade: str, position: int, message: str) -> None:
        self.problems.append(Problem(grade, self._before + len(self.frames), position, message))

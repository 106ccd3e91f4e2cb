"""The wire form to records. The parser is total: any ids or text give frames and the problems they have.

Validity has four grades, in this order: `tokens` (every frame has its special tokens in their order),
`locals` (LOCALS is a JSON object of strings, VALUE a JSON string), `stack` (calls and returns are balanced),
`source` (SOURCE is a line of the program). A last frame that was cut off is `truncated`, which is no fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cwm_trace.records import Frame, Outcome, Problem, SourceFile, Trace
from cwm_trace.wire.context import parse_context
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.tokens import Piece, Special, TraceTokens

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
    return _Parser(program, profile).parse(list(split(data, tokens)))


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


class _Parser:
    def __init__(self, program: Trace | None, profile: FormatProfile) -> None:
        self._profile = profile
        self._frames: list[Frame] = list(program.frames) if program else []
        self._problems: list[Problem] = list(program.problems) if program else []
        self._given = len(self._frames)
        self._outcome = Outcome.INCOMPLETE
        self._start(program or Trace(files=(SourceFile("<context>", ""),), entry=""))

    def _start(self, program: Trace) -> None:
        self._program = program
        self._reader = FrameReader(program, self._profile)

    def parse(self, pieces: list[tuple[int, Piece]]) -> Trace:
        pieces = self._take_context(pieces)
        buffer: list[tuple[int, Piece]] = []
        for position, piece in pieces:
            if self._outcome is not Outcome.INCOMPLETE:
                self._problem("tokens", position, "text after the end of the trace")
                break
            if piece is Special.FRAME:
                self._take_frame(buffer, position)
                buffer = []
            elif piece is Special.END:
                self._end(buffer, position)
                buffer = []
            else:
                buffer.append((position, piece))
        if buffer:
            self._problem("truncated", buffer[0][0], "the last frame was cut off")
        return replace(
            self._program,
            frames=tuple(self._frames),
            outcome=self._outcome,
            problems=tuple(self._problems),
            profile=self._profile.name,
            given=self._given,
            python="",
            exit_code=None,
            output=None,
            skipped=0,
            not_recorded=(),
            warnings=(),
        )

    def _take_context(self, pieces: list[tuple[int, Piece]]) -> list[tuple[int, Piece]]:
        kinds = [piece for _, piece in pieces[:4]]
        skip = 1 if kinds[:1] == [Special.BEGIN] else 0
        match kinds[skip:]:
            case [Special.CONTEXT, Special.FRAME, *_]:
                return pieces[skip + 2 :]
            case [Special.CONTEXT, str(text), *rest]:
                files, entry, entry_line = parse_context(text)
                self._frames, self._problems, self._given = [], [], 0
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
        frame, faults = self._reader.read([piece for _, piece in buffer])
        for grade, message in faults:
            self._problem(grade, start, message)
        if frame is not None:
            self._frames.append(frame)

    def _end(self, buffer: list[tuple[int, Piece]], position: int) -> None:
        if buffer:
            self._problem("tokens", buffer[0][0], "the trace ends inside a frame")
        self._outcome, faults = self._reader.end()
        for grade, message in faults:
            self._problem(grade, position, message)

    def _problem(self, grade: str, position: int, message: str) -> None:
        self._problems.append(Problem(grade, len(self._frames), position, message))

"""The truth as a draft: where its frames stand in the text, and where a model has a choice in them.

A frame that follows the true history is exactly right if each of its tokens is the one that the model would
choose after the tokens before it. So the true trace is read once, the choices are compared, and only where
one differs does a rollout branch off, from inside of that frame. A rollout of several frames is the truth up
to its first difference. Nothing is lost: naive generation, frame by frame, gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cwm_trace.model.predict.guide import Opening, Reading
from cwm_trace.model.predict.open_frame import OpenFrame
from cwm_trace.model.predict.vocabulary import Legal
from cwm_trace.predict.modes import Mode
from cwm_trace.records import Event, Frame
from cwm_trace.wire.tokens import TOKEN_EVENTS, Piece, Special, TraceTokens

OpenFrames = Callable[[Opening], OpenFrame]
"""Begins a frame."""


@dataclass(frozen=True, slots=True)
class TrueFrame:
    """A true frame, or the end token, as it stands in the text.

    Args:
        index: of the frame in the true trace.
        pieces: what is written: nothing for a RETURN that the profile drops.
        ids: the same in ids.
        start: position of its first token.
        opening: what may stand there.
        given: leading tokens that the mode gives.
    """

    index: int
    pieces: Sequence[Piece]
    ids: Sequence[int]
    start: int
    opening: Opening
    given: int = 0

    @property
    def event(self) -> Event:
        """Its event."""
        if not self.pieces:
            return Event.RETURN
        first = self.pieces[0]
        assert isinstance(first, Special)
        return TOKEN_EVENTS[first]


@dataclass(frozen=True, slots=True)
class Choice:
    """A position where the model has a choice.

    Args:
        position: of the token in the text.
        legal: what may stand there.
        true: what does stand there.
        frame: index of its frame in the span.
        field: of the frame that the token belongs to.
    """

    position: int
    legal: Legal
    true: int
    frame: int
    field: str


@dataclass(slots=True)
class Span:
    """True frames that are predicted in one go, each from those before it.

    Args:
        frames: the frames.
        fit: how many of them a rollout could write before a budget of tokens cuts it.
        choices: where the model has a choice, up to a true token that it cannot choose.
        sampler: draws its tokens; None: the likeliest.
        wrong: the first choice that is not the true one; None: all are.
        token: what was chosen there; None if only that is known.
        logprobs: log-probabilities of the choices, `wrong` included.
    """

    frames: list[TrueFrame] = field(default_factory=list)
    fit: int = 0
    choices: list[Choice] = field(default_factory=list)
    sampler: Any = None
    wrong: Choice | None = None
    token: int | None = None
    logprobs: list[tuple[Choice, float]] = field(default_factory=list)

    @property
    def right(self) -> int:
        """How many leading frames are predicted right."""
        return self.fit if self.wrong is None else self.wrong.frame

    @property
    def start(self) -> int:
        """Position of its first token."""
        return self.frames[0].start if self.frames else 0

    @property
    def end(self) -> int:
        """Position after the last token that fits."""
        last = self.frames[self.fit - 1] if self.fit else None
        return 0 if last is None else last.start + len(last.ids)

    def count_predicted(self, end: int) -> int:
        """Tokens before this position that are predicted and not given."""
        parts = (min(true.start + len(true.ids), end) - true.start - true.given for true in self.frames)
        return sum(max(part, 0) for part in parts)

    def frame_logprobs(self, frame: int) -> dict[str, list[float]]:
        """Log-probabilities of the right choices in one frame, by field."""
        found: dict[str, list[float]] = {}
        for choice, logprob in self.logprobs:
            if choice.frame == frame and choice is not self.wrong:
                found.setdefault(choice.field, []).append(logprob)
        return found


def write_frames(
    reading: Reading,
    frames: Sequence[tuple[int, Frame]],
    start: int,
    mode: Mode,
    tokens: TraceTokens,
    *,
    ends: bool,
    length: int,
) -> list[TrueFrame]:
    """True frames as they follow a prompt, those that fit the model.

    Args:
        reading: has taken the frames of the prompt; takes these.
        frames: the true frames after the prompt, each with its index in the true trace.
        start: tokens of the prompt.
        mode: of the prediction.
        tokens: the tokenizer's mapping.
        ends: whether the end token follows and is to be predicted.
        length: tokens of the whole text at the most.
    """
    written: list[TrueFrame] = []
    for index, frame in frames:
        opening = reading.opening
        pieces = reading.push(frame)
        ids = tokens.encode_pieces(pieces)
        if start + len(ids) > length:
            return written
        written.append(TrueFrame(index, pieces, ids, start, opening, _given(mode, pieces, tokens)))
        start += len(ids)
    if ends and start < length:
        end = [tokens.ids[Special.END]]
        written.append(TrueFrame(-1, [Special.END], end, start, reading.opening))
    return written


def cut_span(
    frames: Sequence[TrueFrame], open_frame: OpenFrames, *, max_tokens: int, max_frame_tokens: int
) -> Span:
    """True frames that are predicted in one go.

    Args:
        frames: those that fit the model.
        open_frame: begins a frame under the grammar, if there is one.
        max_tokens: tokens after which a rollout is cut.
        max_frame_tokens: tokens of one frame after which it is cut.
    """
    span = Span(list(frames))
    span.fit = _fitting(span.frames, max_tokens, max_frame_tokens)
    span.choices = _choices(span.frames[: span.fit], open_frame)
    return span


def _fitting(frames: Sequence[TrueFrame], max_tokens: int, max_frame_tokens: int) -> int:
    tokens = 0
    for index, true in enumerate(frames):
        tokens += len(true.ids) - true.given
        if len(true.ids) > max_frame_tokens or tokens > max_tokens:
            return index
    return len(frames)


def _choices(frames: Sequence[TrueFrame], open_frame: OpenFrames) -> list[Choice]:
    found: list[Choice] = []
    for index, true in enumerate(frames):
        if not true.ids:  # a RETURN that the profile does not write
            continue
        frame = open_frame(true.opening)
        if true.given:
            frame.give(true.ids[: true.given], true.event)
        for offset, number in enumerate(true.ids[true.given :], start=true.given):
            legal, allowed = frame.legal, frame.allows(number)
            if legal.only is None or not allowed:
                found.append(Choice(true.start + offset, legal, number, index, frame.field))
            if not allowed:
                return found
            frame.take(number)
    return found


def _given(mode: Mode, pieces: Sequence[Piece], tokens: TraceTokens) -> int:
    """Leading tokens that the mode gives: the event, or all before the source of a CALL or LINE."""
    if not pieces:
        return 0
    if mode.gives_state and isinstance(pieces[1], str):
        return len(tokens.encode_pieces(pieces[:3]))
    return int(mode.gives_event)

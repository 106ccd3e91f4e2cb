"""The truth as a draft: one pass over a true trace says where the model would have said something else.

A frame that follows the true history is exactly right if each of its tokens is the one that the model would
choose after the tokens before it. So the true trace is read once, the choices are compared, and only where
one differs does a rollout branch off, from inside of that frame. A rollout of several frames is the truth up
to its first difference. Nothing is lost: naive generation, frame by frame, gives the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import Sampler
from cwm_trace.model.predict.engine import CHUNK, Chooser
from cwm_trace.model.predict.rollout import OpenFrame
from cwm_trace.model.predict.vocabulary import Legal
from cwm_trace.modes import Mode, ModeKind
from cwm_trace.records import Event, Frame
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.tokens import TOKEN_EVENTS, Piece, Special, TraceTokens

OpenFrames = Callable[[frozenset[Event]], OpenFrame]
"""Begins a frame whose event is one of those that are legal."""


@dataclass(frozen=True, slots=True)
class TrueFrame:
    """A true frame, or the end token, as it stands in the text.

    Args:
        pieces: what is written: nothing for a RETURN that the profile drops.
        ids: the same in ids.
        start: position of its first token.
        legal: events that the stack allows.
        given: leading tokens that the mode gives.
    """

    pieces: Sequence[Piece]
    ids: Sequence[int]
    start: int
    legal: frozenset[Event]
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
        first: index of the first one in the true trace.
        frames: the frames.
        fit: how many of them a rollout could write before a budget of tokens cuts it.
        choices: where the model has a choice, up to a true token that it cannot choose.
        sampler: draws its tokens; None: the likeliest.
        wrong: the first choice that is not the true one; None: all are.
        token: what was chosen there.
        logprobs: log-probabilities of the choices, `wrong` included.
    """

    first: int
    frames: list[TrueFrame] = field(default_factory=list)
    fit: int = 0
    choices: list[Choice] = field(default_factory=list)
    sampler: Sampler | None = None
    wrong: Choice | None = None
    token: int = -1
    logprobs: list[tuple[Choice, float]] = field(default_factory=list)

    @property
    def right(self) -> int:
        """How many leading frames are predicted right."""
        return self.fit if self.wrong is None else self.wrong.frame

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
    reader: FrameReader,
    frames: Sequence[Frame],
    start: int,
    mode: Mode,
    tokens: TraceTokens,
    *,
    ends: bool,
    max_tokens: int,
) -> tuple[list[TrueFrame], bool]:
    """True frames as they follow a prompt.

    Args:
        reader: has taken the frames of the prompt; takes these.
        frames: the true frames after the prompt.
        start: tokens of the prompt.
        mode: of the prediction.
        tokens: the tokenizer's mapping.
        ends: whether the end token follows and is to be predicted.
        max_tokens: tokens of the whole text at the most.

    Returns:
        The frames that fit, the end among them, and whether all did.
    """
    written: list[TrueFrame] = []
    for frame in frames:
        legal = reader.legal_events
        pieces = reader.push(frame)
        ids = tokens.encode_pieces(pieces)
        if start + len(ids) > max_tokens:
            return written, False
        written.append(TrueFrame(pieces, ids, start, legal, _given(mode, pieces, tokens)))
        start += len(ids)
    if ends:
        if start + 1 > max_tokens:
            return written, False
        written.append(TrueFrame([Special.END], [tokens.ids[Special.END]], start, reader.legal_events))
    return written, True


def cut_spans(
    frames: Sequence[TrueFrame],
    first: int,
    mode: Mode,
    open_frame: OpenFrames,
    *,
    max_tokens: int | None,
    max_frame_tokens: int,
) -> list[Span]:
    """What is predicted in one go: single frames when forced, blocks of K, or everything.

    Args:
        frames: the true frames.
        first: index of the first one in the true trace.
        mode: of the prediction.
        open_frame: begins a frame under the grammar, if there is one.
        max_tokens: tokens after which a rollout is cut.
        max_frame_tokens: tokens of one frame after which it is cut.
    """
    is_free = mode.kind is ModeKind.FREE
    size = max(len(frames), 1) if is_free else mode.number or 1
    spans = []
    for at in range(0, max(len(frames), is_free), size):
        span = Span(first + at, list(frames[at : at + size]))
        span.fit = _fitting(span.frames, max_tokens, max_frame_tokens)
        span.choices = _choices(span.frames[: span.fit], open_frame)
        spans.append(span)
    return spans


@torch.inference_mode()
def find_differences(
    decoder: Decoder,
    cache: KVCache,
    ids: Sequence[int],
    spans: Sequence[Span],
    chooser: Chooser,
    need_logprobs: bool,
) -> int:
    """Read a text and note where the model chooses something else, in each span the first time.

    Args:
        decoder: The model.
        cache: Has taken a beginning of the text already; takes the rest.
        ids: The text, up to the last position where there is a choice.
        spans: In their order; `wrong`, `token` and `logprobs` are set.
        chooser: Applies the grammar.
        need_logprobs: Keep log-probabilities.

    Returns:
        Forward passes.
    """
    flat = [(span, choice) for span in spans for choice in span.choices]
    places = [choice.position for _, choice in flat]
    passes = 0
    for begin in range(cache.length, len(ids), CHUNK):
        part = torch.tensor([ids[begin : begin + CHUNK]], device=decoder.device)
        states = decoder.states(part, cache)[0]  # (T, E)
        passes += 1
        low, high = bisect_left(places, begin + 1), bisect_left(places, begin + part.shape[1] + 1)
        if low == high:
            continue
        at = torch.tensor([place - 1 - begin for place in places[low:high]], device=decoder.device)
        logits = chooser.masked(decoder.logits(states[at]), [choice.legal for _, choice in flat[low:high]])
        greedy = logits.argmax(dim=-1).tolist()
        logprobs = torch.log_softmax(logits.float(), dim=-1) if need_logprobs else None
        for row, (span, choice) in enumerate(flat[low:high]):
            if span.wrong is not None:
                continue
            token = greedy[row] if span.sampler is None else int(span.sampler(logits[row : row + 1]))
            if logprobs is not None:
                span.logprobs.append((choice, float(logprobs[row, token])))
            if token != choice.true:
                span.wrong, span.token = choice, token
    return passes


def _fitting(frames: Sequence[TrueFrame], max_tokens: int | None, max_frame_tokens: int) -> int:
    tokens = 0
    for index, true in enumerate(frames):
        tokens += len(true.ids) - true.given
        if len(true.ids) > max_frame_tokens or (max_tokens is not None and tokens > max_tokens):
            return index
    return len(frames)


def _choices(frames: Sequence[TrueFrame], open_frame: OpenFrames) -> list[Choice]:
    found: list[Choice] = []
    for index, true in enumerate(frames):
        if not true.ids:  # a RETURN that the profile does not write
            continue
        frame = open_frame(true.legal)
        if true.given:
            frame.give(true.ids[: true.given], true.event)
        for offset, number in enumerate(true.ids[true.given :], start=true.given):
            legal, allowed = frame.legal, frame.allows(number)
            single = legal.ids is not None and len(legal.ids) == 1
            if not (single and allowed):
                found.append(Choice(true.start + offset, legal, number, index, frame.field))
            if not allowed:
                return found
            frame.take(number)
    return found


def _given(mode: Mode, pieces: Sequence[Piece], tokens: TraceTokens) -> int:
    """Leading tokens that the mode gives: the event, or all before the source of a CALL or LINE."""
    if not pieces:
        return 0
    if mode.kind is ModeKind.FORCED_STATE and isinstance(pieces[1], str):
        return len(tokens.encode_pieces(pieces[:3]))
    return int(mode.kind in (ModeKind.FORCED_EVENT, ModeKind.FORCED_STATE))

"""Predictions generated frame by frame, each prompt and answer read anew: slow, and easy to see through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cwm_trace.predict.known_frames import forces_return
from cwm_trace.predict.modes import Mode, ModeKind, parse_mode
from cwm_trace.predict.protocol import ENDED, Request
from cwm_trace.records import Event, Frame, Outcome, Trace
from cwm_trace.states import resolve_states
from cwm_trace.wire import CWM, FormatProfile, Special, TraceTokens, render_prompt
from cwm_trace.wire.parse import TraceParser
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import main_thread
from cwm_trace.wire.tokens import Piece

OWN = ["free", "output", "step-over", "step-over-0"]
TRUE = ["forced", "forced-event", "forced-state", "reground-1", "reground-3"]

Complete = Callable[[list[int], int, list[int]], list[int]]
"""Prompt, most new ids, stop ids: the new ids, greedily."""

Seen = tuple[Any, ...]


class Reference:
    """What any predictor must say.

    Args:
        complete: the model.
        tokens: its ids.
        cap: most new tokens of a prediction or block.
    """

    def __init__(self, complete: Complete, tokens: TraceTokens, cap: int) -> None:
        self.complete, self.tokens, self.cap = complete, tokens, cap
        self.frame, self.end = tokens.ids[Special.FRAME], tokens.ids[Special.END]

    def check(self, got: Trace, request: Request) -> None:
        """Compare a prediction with what this one says."""
        if request.mode in TRUE:
            self._check_blocks(got, request)
        else:
            self._check_own(got, request)

    def _check_own(self, got: Trace, request: Request) -> None:
        want = self._own(request)
        if want.outcome is Outcome.INCOMPLETE:  # the entry's return was read, nothing more was asked for
            assert got.outcome in (Outcome.RETURNED, Outcome.RAISED)
            want = replace(want, outcome=got.outcome)
        assert _all(got) == _all(want)
        assert (got.outcome, got.guess.problems) == (want.outcome, want.guess.problems)

    def _check_blocks(self, got: Trace, request: Request) -> None:
        want = self._blocks(request)
        given = len(request.history.frames)
        assert len(got.frames) == given + len(want)
        for seen, place in zip(_all(got)[given:], want, strict=True):
            if place is None:  # nothing was said there, or a frame of which only the event came
                assert seen[0] is Event.END or not seen[2]
            else:
                assert seen[:-1] == place[:-1]
                assert place[-1] in (None, seen[-1])  # more texts are kept where the names change their order
        truth = request.truth
        assert truth is not None
        surplus = len(got.frames) > len(truth.frames)
        assert got.outcome is (Outcome.INCOMPLETE if surplus else truth.outcome)

    def _own(self, request: Request) -> Trace:
        history, mode = request.history, parse_mode(request.mode)
        prompt = render_prompt(history, given=len(history.frames), tokens=self.tokens)
        ids: list[int] = []
        given = 0
        for _ in range(request.max_frames):
            trace = self._parse(ids, history)
            if self._has_output(trace, request):
                return trace
            if forces_return(trace.frames, mode):
                ids.append(self.tokens.ids[Special.RETURN])
                given += 1
            ids += self._complete(prompt + ids, self.cap - (len(ids) - given))
            if ids[-1] == self.end:
                return self._parse(ids, history)
            if ids[-1] != self.frame:
                break
        trace = self._parse(ids, history)
        return trace if self._has_output(trace, request) else replace(trace, outcome=Outcome.TRUNCATED)

    def _blocks(self, request: Request) -> list[Seen | None]:
        """None: no frame was said there."""
        truth, mode = request.truth, parse_mode(request.mode)
        assert truth is not None
        text = write_truth(truth, self.tokens, CWM)
        size = 1 if mode.is_forced else mode.number
        found: list[Seen | None] = []
        for at in range(len(request.history.frames), len(text.frames), size):
            block = text.frames[at : at + size]
            history = replace(truth, frames=truth.frames[: block[0].index])
            ids = given_ids(block[0], mode, self.tokens)
            given = len(ids)
            places: list[Seen | None] = []
            for _ in block:
                before = len(self._parse(ids, history).frames)
                new = self._complete(text.ids[: block[0].start] + ids, self.cap - (len(ids) - given))
                ids += new
                places.append(self._last(self._parse(ids, history), before))
                if new[-1:] != [self.frame]:
                    break
            found += places + [None] * (len(block) - len(places))
        if request.mode == "forced" and truth.outcome in ENDED:
            new = self._complete(text.ids[:-1], self.cap)
            if new != [self.end]:
                found.append(self._last(self._parse(new, truth), len(truth.frames)))
        return found

    def _complete(self, prompt: list[int], limit: int) -> list[int]:
        return self.complete(prompt, limit, [self.frame, self.end]) if limit else []

    def _parse(self, ids: list[int], history: Trace) -> Trace:
        parser = TraceParser(
            history
        )  # `parse_trace` would take a context that the model says for a new program
        parser.feed(ids, self.tokens)
        return parser.finish()

    def _last(self, trace: Trace, before: int) -> Seen | None:
        return _all(trace)[-1] if len(trace.frames) > before else None

    def _has_output(self, trace: Trace, request: Request) -> bool:
        new = trace.frames[len(request.history.frames) :]
        return request.mode == "output" and any(f.depth == 0 and f.event is Event.RETURN for f in new)


def _all(trace: Trace) -> list[Seen]:
    return [_seen(*pair) for pair in zip(trace.frames, resolve_states(trace.frames), strict=True)]


def _seen(frame: Frame, state: Any) -> Seen:
    texts = None if state is None else {name: slot.text for name, slot in state.items()}
    where = (frame.event, frame.line, frame.source, frame.activation, frame.depth)
    return (*where, texts, frame.value, frame.raw)


@dataclass(frozen=True, slots=True)
class TrueFrame:
    """A frame that the wire shows.

    Args:
        index: its position in `Trace.frames`.
        frame: itself.
        start: position of its first id.
        end: position after its last one, the separator.
        pieces: what the ids say.
        legal: events that calls and returns allow here.
    """

    index: int
    frame: Frame
    start: int
    end: int
    pieces: tuple[Piece, ...]
    legal: frozenset[Event]


@dataclass(frozen=True, slots=True)
class TrueText:
    """A real trace as ids.

    Args:
        ids: context and frames, and the end token where the execution ended.
        frames: those that the wire shows: of the first thread, up to the return of the entry.
        ended: whether the last id is the end token.
    """

    ids: list[int]
    frames: list[TrueFrame]
    ended: bool


def write_truth(truth: Trace, tokens: TraceTokens, profile: FormatProfile) -> TrueText:
    """Write a real trace as ids."""
    ids = render_prompt(truth, given=0, profile=profile, tokens=tokens)
    reader = FrameReader(replace(truth, frames=()), profile)
    frames: list[TrueFrame] = []
    shown = [(index, frame) for index, frame in enumerate(truth.frames) if frame.thread == 0]
    for index, frame in shown[: len(main_thread(truth))]:
        legal = reader.legal_events
        pieces = reader.push(frame)
        start = len(ids)
        ids += tokens.encode_pieces(pieces)
        frames.append(TrueFrame(index, frame, start, len(ids), tuple(pieces), legal))
    ended = truth.outcome in ENDED
    if ended:
        ids.append(tokens.ids[Special.END])
    return TrueText(ids, frames, ended)


def given_ids(frame: TrueFrame, mode: Mode, tokens: TraceTokens) -> list[int]:
    """The ids of a frame that a mode gives: none, its event, or with a state all up to its source."""
    match mode.kind:
        case ModeKind.FORCED_EVENT:
            pieces = frame.pieces[:1]
        case ModeKind.FORCED_STATE:
            stateful = frame.frame.event in (Event.CALL, Event.LINE)
            pieces = frame.pieces[: frame.pieces.index(Special.ACTION) + 1 if stateful else 1]
        case _:
            pieces = ()
    return tokens.encode_pieces(pieces)

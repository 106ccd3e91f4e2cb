"""One continuation of a trace while it is being written: its frames, the open one, and when it stops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cwm_trace.model.predict.grammar import FrameGrammar
from cwm_trace.model.predict.guide import Opening, Reading
from cwm_trace.model.predict.open_frame import FreeFrame, OpenFrame
from cwm_trace.model.predict.true_frames import TrueFrame
from cwm_trace.predict.known_frames import forces_return
from cwm_trace.predict.modes import Mode, ModeKind
from cwm_trace.records import Event, Frame, Outcome, Problem
from cwm_trace.wire.parse import split
from cwm_trace.wire.tokens import EVENT_TOKENS, Piece, Special, TraceTokens

Drafter = Callable[["Rollout"], Sequence[int]]
"""Proposes how the open frame of a rollout goes on after its pending tokens."""

_FIRST_DRAFT = 16
"""Tokens of the first draft of a rollout."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a rollout is cut.

    Args:
        frames: that it may write.
        new_tokens: that may be predicted.
        room: tokens that fit the model, given ones included.
        frame_tokens: of one frame.
        ending: outcome when it has its frames.
    """

    frames: int
    new_tokens: int = sys.maxsize
    room: int = sys.maxsize
    frame_tokens: int = sys.maxsize
    ending: Outcome = Outcome.TRUNCATED


class Rollout:
    """A continuation of a trace.

    Args:
        reading: has taken the frames before.
        tokens: the tokenizer's mapping.
        grammar: of the program; None: anything goes.
        history: the frames before.
        mode: of the prediction.
        budget: where it is cut.
        position: of its first token, among those that are predicted in one go.
        balanced: the model itself keeps every frame valid: where only the end of the trace is legal, it is
            not asked.
        keep_logprobs: keep log-probabilities in the frames.
        sampler: draws its tokens; None: the likeliest ones.
        drafter: proposes continuations; None: one token after the other.
    """

    def __init__(
        self,
        reading: Reading,
        tokens: TraceTokens,
        grammar: FrameGrammar | None,
        *,
        history: Sequence[Frame],
        mode: Mode,
        budget: Budget,
        position: int = 0,
        balanced: bool = False,
        keep_logprobs: bool = False,
        sampler: Any = None,
        drafter: Drafter | None = None,
    ) -> None:
        self.reading, self.reader = reading, reading.reader
        self.frames: list[Frame] = []
        self.texts: list[tuple[str, str] | None] = []
        """What each frame was read from."""
        self.problems: list[Problem] = []
        self.outcome: Outcome | None = None
        """How it ended; None while it goes on."""
        self.pending: list[int] = []
        """Tokens that are decided and not yet in the cache; the model is asked what follows them."""
        self.draft_limit = _FIRST_DRAFT
        """Tokens of a draft that are worth trying: more while drafts are right, fewer when they are not."""
        self.drafts_missed = self.steps_to_rest = 0
        """Drafts of which not one token was right, in a row; and steps without a draft because of them."""
        self.sampler, self.drafter = sampler, drafter
        self.keep_logprobs = keep_logprobs
        self.history = history
        """The frames before."""
        self.memory: Any = None
        """What a drafter remembers of the frames so far."""
        self.new_tokens = self.free_tokens = 0
        self.mode = mode
        self._tokens, self._grammar, self._balanced = tokens, grammar, balanced
        self._budget, self._position = budget, position
        self._closed = 0  # frames, those that are none included
        self._new_left, self._room = budget.new_tokens, budget.room
        self._logprobs: dict[str, list[float]] = {}
        self.opening = Opening(frozenset())
        """What its open frame may be; without a grammar nothing is said."""
        self.frame: OpenFrame = self._next_frame()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, rightly or not."""
        return self.outcome is not None

    @property
    def left(self) -> int:
        """Tokens that may still be predicted."""
        return max(min(self._new_left, self._room), 0)

    @property
    def ended_cleanly(self) -> bool:
        """Whether it ended by the end token in the place of a frame."""
        return self.is_done and self.frame.ids == [self._tokens.ids[Special.END]]

    @property
    def lost(self) -> Frame | None:
        """Stands for the frame that was cut or is none; None if the trace ended in its place."""
        if self.ended_cleanly:
            return None
        event = self.frame.event
        if self.outcome is not Outcome.TRUNCATED or event is None or self.frame.is_done:
            event = Event.END
        return Frame(event, 0, "", logprobs=self._kept_logprobs())

    def resume(self, true: TrueFrame, position: int, logprobs: Mapping[str, list[float]]) -> None:
        """Start inside of a true frame: after its tokens before `position`, which the cache has already."""
        if true.given:
            self.frame.give(true.ids[: true.given], true.event)
        for number in true.ids[true.given : position - true.start]:
            self.frame.take(number)
        self._logprobs = {name: list(values) for name, values in logprobs.items()}

    def start(self, given: Sequence[int] = (), event: Event | None = None) -> None:
        """Write what is forced at the beginning.

        Args:
            given: tokens of the first frame that are known: its event, or all up to its source.
            event: their event.
        """
        if event is not None:
            self.pending += given
            self._room -= len(given)
            self.frame.give(given, event)
        if self._budget.frames <= 0:
            self.outcome = self._budget.ending
        elif self.mode.kind is ModeKind.OUTPUT and self.reader.entry_outcome is not None:
            self.outcome = self.reader.entry_outcome
        elif not self.left:
            self.outcome = Outcome.TRUNCATED
        self._follow()

    def take(self, number: int, logprob: float | None = None) -> None:
        """Write a predicted token, and all that follows from it without a choice."""
        self._take(number, logprob)
        self._follow()

    def give_up(self) -> None:
        """The model says no more, though nothing has ended."""
        self._cut()

    def _follow(self) -> None:
        while not self.is_done:
            at_start = not self.frame.ids
            if at_start and forces_return((self.frames or self.history)[-1:], self.mode):
                self._give(self._tokens.ids[EVENT_TOKENS[Event.RETURN]])
            if self.is_done:
                return
            only = self.frame.legal.only
            if at_start and self._balanced and self.reader.legal_events == {Event.END}:
                only = self._tokens.ids[Special.END]
            if only is None:
                return
            self.free_tokens += 1
            self._take(only, None)

    def _give(self, number: int) -> None:
        self.pending.append(number)
        self._room -= 1
        self.frame.take(number)
        self._cut_if_spent()

    def _take(self, number: int, logprob: float | None) -> None:
        self.pending.append(number)
        self.new_tokens += 1
        self._new_left -= 1
        self._room -= 1
        if logprob is not None and self.keep_logprobs:
            self._logprobs.setdefault(self.frame.field, []).append(logprob)
        self.frame.take(number)
        if self.frame.is_done:
            self._close_frame(number)
        else:
            self._cut_if_spent()

    def _close_frame(self, last: int) -> None:
        written = self.frame.ids
        if last == self._tokens.ids[Special.END]:
            if len(written) > 1:
                self._problem("tokens", "the trace ends inside a frame")
            self.outcome, faults = self.reader.end()
            for grade, message in faults:
                self._problem(grade, message, len(written) - 1)
            return
        frame, faults = self.reader.read(pieces_of(written[:-1], self._tokens))
        if frame is not None:
            self.reading.follow(frame)
        for grade, message in faults:
            self._problem(grade, message)
        if frame is None and self.mode.needs_truth:  # what is no frame keeps its place
            frame = Frame(Event.END, 0, "")
        if frame is not None:
            self._add(frame)
        self._logprobs = {}
        self._position += len(written)
        self._closed += 1
        if self.mode.kind is ModeKind.OUTPUT and self.reader.entry_outcome is not None:
            self.outcome = self.reader.entry_outcome
        elif self._closed >= self._budget.frames:
            self.outcome = self._budget.ending
        elif not self.left:
            self.outcome = Outcome.TRUNCATED
        else:
            self.frame = self._next_frame()

    def _add(self, frame: Frame) -> None:
        self.frames.append(replace(frame, logprobs=self._kept_logprobs()) if self.keep_logprobs else frame)
        self.texts.append(self.reader.texts)

    def _kept_logprobs(self) -> dict[str, tuple[float, ...]] | None:
        if not self.keep_logprobs:
            return None
        return {name: tuple(values) for name, values in self._logprobs.items()}

    def _cut_if_spent(self) -> None:
        if len(self.frame.ids) >= self._budget.frame_tokens or not self.left:
            self._cut()

    def _cut(self) -> None:
        if self.frame.ids:
            self._problem("truncated", "the last frame was cut off")
        self.outcome = Outcome.TRUNCATED

    def _problem(self, grade: str, message: str, offset: int = 0) -> None:
        self.problems.append(Problem(grade, len(self.frames), self._position + offset, message))

    def _next_frame(self) -> OpenFrame:
        if self._grammar is None:
            return FreeFrame(self._tokens)
        self.opening = self.reading.opening
        return self._grammar.start(self.opening)


def pieces_of(ids: Sequence[int], tokens: TraceTokens) -> list[Piece]:
    """Ids as special tokens and texts."""
    return [piece for _, piece in split(ids, tokens)]

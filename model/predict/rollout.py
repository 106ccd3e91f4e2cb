"""One continuation of a trace while it is being written: its frames, the open one, and when it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from cwm_trace.model.decoding import Sampler
from cwm_trace.model.predict.grammar import FrameGrammar
from cwm_trace.model.predict.vocabulary import Legal
from cwm_trace.modes import Mode
from cwm_trace.predictor import forces_return
from cwm_trace.records import Event, Frame, Outcome, Problem
from cwm_trace.wire.parse import split
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, TOKEN_EVENTS, Piece, Special, TraceTokens

if TYPE_CHECKING:
    from cwm_trace.model.predict.truth import TrueFrame

Drafter = Callable[["Rollout"], Sequence[int]]
"""Proposes how the open frame of a rollout goes on after its pending tokens."""

FIRST_DRAFT = 16
"""Tokens of the first draft of a rollout."""
ANYTHING = Legal(None, -1)
"""What is legal without a grammar."""


class OpenFrame(Protocol):
    """A frame that is being written, under a grammar or freely."""

    event: Event | None
    ids: list[int]

    @property
    def is_done(self) -> bool:
        """Whether the frame, or the trace, has ended."""

    @property
    def field(self) -> str:
        """What the next token belongs to: `event`, `locals`, `source`, `value`, or `separator`."""

    @property
    def legal(self) -> Legal:
        """What may come next."""

    def allows(self, number: int) -> bool:
        """Whether the id may come next."""

    def take(self, number: int) -> None:
        """Write an id."""

    def give(self, ids: Sequence[int], event: Event) -> None:
        """Write tokens that are given: the event, or all up to the source."""

    def copy(self) -> OpenFrame:
        """A copy that goes on by itself."""


class FreeFrame:
    """A frame in which anything may come next; it ends at a frame separator or at the end token."""

    __slots__ = ("_tokens", "event", "field", "ids", "is_done")

    legal = ANYTHING

    def __init__(self, tokens: TraceTokens) -> None:
        self._tokens = tokens
        self.event: Event | None = None
        self.ids: list[int] = []
        self.field = "event"
        self.is_done = False

    def copy(self) -> FreeFrame:
        """A copy that goes on by itself."""
        other = FreeFrame(self._tokens)
        other.event, other.ids = self.event, list(self.ids)
        other.field, other.is_done = self.field, self.is_done
        return other

    def allows(self, number: int) -> bool:  # noqa: ARG002
        """Everything is allowed."""
        return True

    def give(self, ids: Sequence[int], event: Event) -> None:
        """Write tokens that are given: the event, or all up to the source."""
        self.ids.extend(ids)
        self.event = event
        self.field = "source" if len(ids) > 1 else "locals" if event in STATEFUL else "separator"

    def take(self, number: int) -> None:
        """Write an id."""
        self.ids.append(number)
        special = self._tokens.specials.get(number)
        if special in (Special.FRAME, Special.END):
            self.is_done = True
        elif self.field == "event":
            self.event = None if special is None else TOKEN_EVENTS.get(special)
            self.field = "locals" if self.event in STATEFUL else "separator"
        elif special is Special.ACTION:
            self.field = "source"
        elif special is Special.ARG:
            self.field = "value"


class Rollout:
    """A continuation of a trace.

    Args:
        reader: has taken the frames before.
        tokens: the tokenizer's mapping.
        grammar: of the program; None: anything goes.
        history: the frames before.
        mode: of the prediction.
        max_frames: frames after which it stops.
        max_tokens: tokens after which it is cut, forced ones included.
        max_frame_tokens: tokens of one frame after which it is cut.
        ending: outcome when `max_frames` is reached, if that is what was asked for and not a budget.
        keep_logprobs: keep log-probabilities in the frames.
        sampler: draws its tokens; None: the likeliest ones.
        drafter: proposes continuations; None: one token after the other.
    """

    def __init__(
        self,
        reader: FrameReader,
        tokens: TraceTokens,
        grammar: FrameGrammar | None,
        *,
        history: Sequence[Frame],
        mode: Mode,
        max_frames: int,
        max_tokens: int,
        max_frame_tokens: int,
        ending: Outcome = Outcome.TRUNCATED,
        keep_logprobs: bool = False,
        sampler: Sampler | None = None,
        drafter: Drafter | None = None,
    ) -> None:
        self.reader = reader
        self.frames: list[Frame] = []
        self.problems: list[Problem] = []
        self.outcome: Outcome | None = None
        """How it ended; None while it goes on."""
        self.pending: list[int] = []
        """Tokens that are decided and not yet in the cache; the model is asked what follows them."""
        self.draft_limit = FIRST_DRAFT
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
        self._tokens, self._grammar = tokens, grammar
        self._mode = mode
        self._max_frames, self._ending = max_frames, ending
        self._closed = 0  # frames, those that are none included
        self._max_tokens, self._max_frame_tokens = max_tokens, max_frame_tokens
        self._logprobs: dict[str, list[float]] = {}
        self.frame: OpenFrame = self._next_frame()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, rightly or not."""
        return self.outcome is not None

    def resume(self, true: TrueFrame, position: int, logprobs: dict[str, list[float]]) -> None:
        """Start inside of a true frame: after its tokens before `position`, which the cache has already."""
        if true.given:
            self.frame.give(true.ids[: true.given], true.event)
        for number in true.ids[true.given : position - true.start]:
            self.frame.take(number)
        self._logprobs = logprobs

    def start(self, given: Sequence[int] = (), event: Event | None = None) -> None:
        """Write what is forced at the beginning.

        Args:
            given: tokens of the first frame that are known: its event, or all up to its source.
            event: their event.
        """
        if event is not None:
            self.pending += given
            self.frame.give(given, event)
        if self._max_frames <= 0:
            self.outcome = self._ending
        elif self._max_tokens <= 0:
            self.outcome = Outcome.TRUNCATED
        self._follow()

    def take(self, number: int, logprob: float | None = None) -> None:
        """Write a predicted token, and all that follows from it without a choice."""
        self._take(number, logprob)
        self._follow()

    @property
    def ended_cleanly(self) -> bool:
        """Whether it ended by the end token in the place of a frame."""
        return self.is_done and self.frame.ids == [self._tokens.ids[Special.END]]

    def _follow(self) -> None:
        while not self.is_done:
            if not self.frame.ids and forces_return((self.frames or self.history)[-1:], self._mode):
                self._give(self._tokens.ids[EVENT_TOKENS[Event.RETURN]])
            if self.is_done:
                return
            ids = self.frame.legal.ids
            if ids is None or len(ids) != 1:
                return
            self.free_tokens += 1
            self._take(ids[0], None)

    def _give(self, number: int) -> None:
        self.pending.append(number)
        self._max_tokens -= 1
        self.frame.take(number)
        self._cut_if_spent()

    def _take(self, number: int, logprob: float | None) -> None:
        self.pending.append(number)
        self.new_tokens += 1
        self._max_tokens -= 1
        if logprob is not None and self.keep_logprobs:
            self._logprobs.setdefault(self.frame.field, []).append(logprob)
        self.frame.take(number)
        if self.frame.is_done:
            self._close_frame(number)
        else:
            self._cut_if_spent()

    def _close_frame(self, last: int) -> None:
        if last == self._tokens.ids[Special.END]:
            if len(self.frame.ids) > 1:
                self._problem("tokens", "the trace ends inside a frame")
            self.outcome, faults = self.reader.end()
            for grade, message in faults:
                self._problem(grade, message)
            return
        frame, faults = self.reader.read(pieces_of(self.frame.ids[:-1], self._tokens))
        for grade, message in faults:
            self._problem(grade, message)
        if frame is not None:
            self._add(frame)
        self._logprobs = {}
        self._closed += 1
        if self._closed >= self._max_frames:
            self.outcome = self._ending
        elif self._max_tokens <= 0:
            self.outcome = Outcome.TRUNCATED
        else:
            self.frame = self._next_frame()

    def _add(self, frame: Frame) -> None:
        if self.keep_logprobs:
            logprobs = {name: tuple(values) for name, values in self._logprobs.items()}
            frame = replace(frame, logprobs=logprobs)
        self.frames.append(frame)

    def _cut_if_spent(self) -> None:
        if len(self.frame.ids) >= self._max_frame_tokens or self._max_tokens <= 0:
            self._problem("truncated", "the last frame was cut off")
            self.outcome = Outcome.TRUNCATED

    def _problem(self, grade: str, message: str) -> None:
        self.problems.append(Problem(grade, len(self.frames), 0, message))

    def _next_frame(self) -> OpenFrame:
        if self._grammar is None:
            return FreeFrame(self._tokens)
        return self._grammar.start(self.reader.legal_events)


def pieces_of(ids: Sequence[int], tokens: TraceTokens) -> list[Piece]:
    """Ids as special tokens and texts."""
    return [piece for _, piece in split(ids, tokens)]

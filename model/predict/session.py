"""One prediction on its way: its prompt, what may follow it, and the rollouts that write it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from cwm_trace.model.decoding import Sampler
from cwm_trace.model.predict.drafts import FrameDrafter
from cwm_trace.model.predict.grammar import FrameGrammar
from cwm_trace.model.predict.rollout import FreeFrame, OpenFrame, Rollout
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.modes import ModeKind, parse_mode
from cwm_trace.predictor import History, Request, as_prediction
from cwm_trace.records import Cost, Decoding, Event, Frame, Outcome, Problem, Trace
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import main_thread, render_prompt
from cwm_trace.wire.tokens import TraceTokens


@dataclass(frozen=True)
class Options:
    """How a local predictor decodes.

    Args:
        constrained: keep every token valid by the frame grammar.
        temperature: 0 is greedy.
        top_p: probability mass to draw from, in (0, 1].
        seed: of the draws.
        logprobs: keep the log-probabilities of predicted tokens in the frames.
        drafts: let cheap guesses be verified many tokens at a time; changes no result.
        max_new_tokens: tokens after which a rollout is cut; None: what the model's length leaves.
        max_frame_tokens: tokens of one frame after which a rollout is cut.
        max_text_tokens: tokens after which the grammar ends a name or a value; None: never.
        max_rows: rollouts that are decoded together.
    """

    constrained: bool = True
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    logprobs: bool = False
    drafts: bool = True
    max_new_tokens: int | None = None
    max_frame_tokens: int = 2048
    max_text_tokens: int | None = None
    max_rows: int = 64


class Session:
    """What one request needs.

    Args:
        request: what is to be predicted.
        options: how.
        length: tokens that the model reads at the most.
        tokens: the tokenizer's mapping.
        vocabulary: of the grammar; None: anything goes.
        profile: how frames are written.
        device: where logits are.
    """

    def __init__(
        self,
        request: Request,
        options: Options,
        length: int,
        tokens: TraceTokens,
        vocabulary: Vocabulary | None,
        profile: FormatProfile,
        device: torch.device | str,
    ) -> None:
        self.request, self.options, self.tokens = request, options, tokens
        self.mode = parse_mode(request.mode)
        self.frames: Sequence[Frame] = main_thread(request.history)
        """The known frames of the first thread."""
        self.prompt = render_prompt(request.history, given=len(self.frames), profile=profile, tokens=tokens)
        """Their ids, after those of the context."""
        self.length = length
        self.room = length - len(self.prompt)
        """Tokens that may follow the prompt."""
        if options.max_new_tokens is not None:
            self.room = min(self.room, options.max_new_tokens)
        self.drafter = FrameDrafter(request.history, profile, tokens) if options.drafts else None
        self._grammar = None
        if vocabulary is not None:
            self._grammar = FrameGrammar(
                request.history, profile, tokens, vocabulary, options.max_text_tokens
            )
        self._profile, self._device = profile, device
        self._started = time.perf_counter()

    def reader(self) -> FrameReader:
        """A reader that has taken the known frames."""
        return FrameReader(self.request.history, self._profile)

    def open_frame(self, legal: frozenset[Event]) -> OpenFrame:
        """The beginning of a frame whose event is one of those that are legal."""
        return FreeFrame(self.tokens) if self._grammar is None else self._grammar.start(legal)

    def sampler(self, *numbers: int) -> Sampler | None:
        """A sampler whose draws depend on these numbers and the request's; None: greedy."""
        options = self.options
        if not options.temperature:
            return None
        key = repr((options.seed, self.request.sample, *numbers)).encode()
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big")
        return Sampler(options.temperature, options.top_p, seed, self._device)

    def rollout(
        self,
        reader: FrameReader,
        history: Sequence[Frame],
        *,
        room: int,
        max_frames: int,
        ending: Outcome,
        sampler: Sampler | None,
    ) -> Rollout:
        """A rollout that has not begun.

        Args:
            reader: has taken the frames before.
            history: those frames; the last one may force an event.
            room: tokens that it may write.
            max_frames: frames that it may write.
            ending: its outcome when it has written them.
            sampler: draws its tokens.
        """
        return Rollout(
            reader,
            self.tokens,
            self._grammar,
            history=history,
            mode=self.mode,
            max_frames=max_frames,
            max_tokens=room,
            max_frame_tokens=self.options.max_frame_tokens,
            ending=ending,
            keep_logprobs=self.options.logprobs,
            sampler=sampler,
            drafter=self.drafter,
        )

    def rollout_from_prompt(self) -> Rollout:
        """A rollout from the end of the prompt to the end of what the mode asks for."""
        frames, ending = self.request.max_frames, Outcome.TRUNCATED
        if self.mode.kind is ModeKind.OUTPUT:
            history = History(self.request.history)
            for frame in self.frames:
                history.push(frame)
            frames, ending = len(history.stack), Outcome.RETURNED
        return self.rollout(
            self.reader(),
            self.frames,
            room=self.room,
            max_frames=frames,
            ending=ending,
            sampler=self.sampler(len(self.frames)),  # as where the truth is at hand
        )

    def finish(
        self,
        frames: Sequence[Frame],
        outcome: Outcome,
        decoding: Decoding,
        problems: Iterable[Problem] = (),
        *,
        new_tokens: int = 0,
        free_tokens: int = 0,
        passes: int = 0,
    ) -> Trace:
        """The trace of the known and the predicted frames."""
        seconds = time.perf_counter() - self._started
        cost = Cost(len(self.prompt), new_tokens, free_tokens, passes, round(seconds, 6))
        trace = as_prediction(self.request, [*self.request.history.frames, *frames], outcome, decoding, cost)
        return replace(trace, problems=tuple(problems))

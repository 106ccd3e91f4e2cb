"""One prediction on its way: its prompt, what may follow it, and the rollouts that write it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cwm_trace.errors import CwmTraceError
from cwm_trace.flow import Analysis, Flow, analyse
from cwm_trace.model.predict.backend import Backend
from cwm_trace.model.predict.drafts import FrameDrafter
from cwm_trace.model.predict.grammar import FrameGrammar
from cwm_trace.model.predict.guide import Opening, Reading, read_program
from cwm_trace.model.predict.open_frame import FreeFrame, OpenFrame
from cwm_trace.model.predict.rollout import Budget, Rollout
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.predict.plan import Plan
from cwm_trace.records import Decoding, Frame, Outcome, Trace
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.render import main_thread, render_prompt
from cwm_trace.wire.tokens import TraceTokens


class PromptTooLongError(CwmTraceError):
    """Not one token fits after the prompt."""


@dataclass(frozen=True)
class Setup:
    """What all predictions of a predictor have in common.

    Args:
        name: what messages call the model.
        backend: the model.
        tokens: its tokenizer's mapping.
        decoding: who it is and how it decodes.
        profile: how frames are written.
        length: tokens that fit.
        vocabulary: of the grammar over ids; None: anything goes, or the backend keeps frames valid.
        drafts: who makes cheap guesses: `frames`, from the program; `none`.
    """

    name: str
    backend: Backend
    tokens: TraceTokens
    decoding: Decoding
    profile: FormatProfile
    length: int
    vocabulary: Vocabulary | None = None
    drafts: Literal["frames", "none"] = "none"

    @property
    def max_new_tokens(self) -> int:
        """Tokens after which a rollout is cut."""
        return sys.maxsize if self.decoding.max_new_tokens is None else self.decoding.max_new_tokens

    @property
    def max_frame_tokens(self) -> int:
        """Tokens of one frame after which a rollout is cut."""
        return sys.maxsize if self.decoding.max_frame_tokens is None else self.decoding.max_frame_tokens


class Session:
    """What one request needs.

    Args:
        setup: of the predictor.
        plan: what is to be predicted.

    Raises:
        PromptTooLongError: nothing fits after the prompt.
    """

    def __init__(self, setup: Setup, plan: Plan) -> None:
        self.setup, self.plan = setup, plan
        history = plan.request.history
        self.frames: Sequence[Frame] = main_thread(history)
        """The known frames of the first thread."""
        self.prompt = render_prompt(
            history, given=len(self.frames), profile=setup.profile, tokens=setup.tokens
        )
        """Their ids, after those of the context."""
        self.drafter: FrameDrafter | None = None
        if setup.drafts == "frames" and setup.decoding.drafts:
            self.drafter = FrameDrafter(history, setup.profile, setup.tokens)
        self._grammar: FrameGrammar | None = None
        if setup.vocabulary is not None:
            self._grammar = FrameGrammar(
                history, setup.profile, setup.tokens, setup.vocabulary, setup.decoding.max_text_tokens
            )
        self.warnings: tuple[str, ...] = ()
        """What a reader of the prediction must know about it."""
        self._analysis = self._what_flow_knows()
        if plan.segments:
            self.require_room(len(self.prompt))

    def require_room(self, tokens: int) -> None:
        """Make sure that something may follow so many tokens.

        Raises:
            PromptTooLongError: nothing may.
        """
        if tokens >= self.setup.length:
            raise PromptTooLongError(
                f"the prompt has {tokens} tokens and {self.setup.name} reads {self.setup.length} at the most:"
                " shorten the program or the history"
            )
        if self.setup.max_new_tokens < 1:
            raise PromptTooLongError(
                f"a prompt of {tokens} tokens leaves no room to predict any: raise max_new_tokens"
            )

    def reading(self) -> Reading:
        """A reading that has taken the known frames."""
        flow = None if self._analysis is None else Flow(self._analysis, self.frames)
        return read_program(self.plan.request.history, flow, self.setup.profile)

    def open_frame(self, opening: Opening) -> OpenFrame:
        """The beginning of a frame."""
        return FreeFrame(self.setup.tokens) if self._grammar is None else self._grammar.start(opening)

    def _what_flow_knows(self) -> Analysis | None:
        """The analysis of the program, if the grammar is `flow` and it can speak of this program."""
        request = self.plan.request
        if self.setup.decoding.grammar != "flow":
            return None
        if self.setup.vocabulary is None and not self.plan.follows and request.max_frames > 1:
            why = f"in mode '{self.plan.mode}' a server is asked for one frame after the other"
            self.warnings = (
                f"predicted under the grammar 'frame': {why}, each with a grammar that it keeps",
            )
            return None
        analysis = analyse(request.truth or request.history)
        why = analysis.reason
        if not why and request.truth is not None:
            why = _faults_of_flow(analysis, request.truth)
        if why:
            self.warnings = (f"predicted under the grammar 'frame': {why}",)
        return None if why else analysis

    def seed(self, *numbers: int) -> int:
        """A seed that depends on these numbers and the request's."""
        key = repr((self.setup.decoding.seed, self.plan.request.sample, *numbers)).encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big")

    def rollout(
        self, reading: Reading, history: Sequence[Frame], budget: Budget, *, position: int = 0, start: int
    ) -> Rollout:
        """A rollout that has not begun.

        Args:
            reading: has taken the frames before.
            history: those frames; the last one may force an event.
            budget: where it is cut.
            position: of its first token among those that are predicted in one go.
            start: known frames before what is predicted; its draws depend on it.
        """
        setup = self.setup
        return Rollout(
            reading,
            setup.tokens,
            self._grammar,
            history=history,
            mode=self.plan.mode,
            budget=budget,
            position=position,
            balanced=setup.decoding.constrained and setup.vocabulary is None,
            keep_logprobs=setup.decoding.logprobs,
            sampler=setup.backend.sampler(self.seed(start)) if setup.decoding.temperature else None,
            drafter=self.drafter,
        )

    def budget(
        self, frames: int, used: int, predicted: int = 0, ending: Outcome = Outcome.TRUNCATED
    ) -> Budget:
        """What a rollout may write.

        Args:
            frames: that it may write.
            used: tokens before it.
            predicted: those of them that were predicted in one go with it.
            ending: its outcome when it has its frames.
        """
        setup = self.setup
        return Budget(
            frames,
            setup.max_new_tokens - predicted,
            setup.length - used,
            setup.max_frame_tokens,
            ending,
        )


def _faults_of_flow(analysis: Analysis, truth: Trace) -> str:
    """What flow calls illegal of a real trace, so that no fault of its own becomes a model's."""
    flow, illegal = Flow(analysis), []
    for number, frame in enumerate(truth.frames):
        if reason := flow.illegal(frame):
            illegal.append(f"frame {number}, {reason}")
        flow.push(frame)
    if not illegal:
        return ""
    return f"flow calls {len(illegal)} of its {len(truth.frames)} real frames impossible, first {illegal[0]}"

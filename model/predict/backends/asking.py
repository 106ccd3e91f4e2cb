"""Asking a model for one prediction: budgets, seeds, and what it costs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.backend import GREEDY, Ask, Backend, Sampling, Verdict
from cwm_trace.model.predict.backends.fields import field_logprobs
from cwm_trace.records import Cost, Decoding
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import TraceTokens


class PromptTooLongError(CwmTraceError):
    """Not one token fits after the prompt."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every prediction of a predictor.

    Args:
        decoding: what stands in every trace.
        sampling: how tokens are chosen.
        profile: the reading of the format.
        max_new_tokens: of one text: a whole prediction that has its own history, or one block of a mode that
            goes back to the truth. None: as many as the model takes.
        logprobs: put log-probabilities of tokens into `Frame.logprobs`.
        drafts: judge the truth as a draft, where the model can do that and decoding is greedy.
    """

    decoding: Decoding
    sampling: Sampling = GREEDY
    profile: FormatProfile = CWM
    max_new_tokens: int | None = None
    logprobs: bool = False
    drafts: bool = True


@dataclass(slots=True)
class Text:
    """What is predicted after a prompt.

    Args:
        prompt: what comes before.
        ids: given and predicted ones.
        logprobs: of each id; None for those that were given.
        given: how many were.
        exhausted: the model says no more.
        grammar: what the next continuation is to follow.
    """

    prompt: Sequence[int]
    ids: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    given: int = 0
    exhausted: bool = False
    grammar: str | None = None

    def give(self, ids: Sequence[int]) -> None:
        """Force ids."""
        self.ids += ids
        self.logprobs += [None] * len(ids)
        self.given += len(ids)


class Asker:
    """Asks a backend on behalf of one prediction."""

    def __init__(self, backend: Backend, tokens: TraceTokens, settings: Settings, sample: int) -> None:
        self.tokens, self.settings = tokens, settings
        self._backend, self._sample = backend, sample
        self._begun = time.monotonic()
        self._prompt_tokens = self._new_tokens = self._passes = 0

    @property
    def length(self) -> int:
        """Tokens that fit the model."""
        return sys.maxsize if self._backend.length is None else self._backend.length

    @property
    def constrains(self) -> bool:
        """Whether every continuation follows the frame grammar."""
        return self.settings.decoding.constrained

    @property
    def judges(self) -> bool:
        """Whether a draft can be judged."""
        return self.settings.drafts and self._backend.can_judge and not self.settings.sampling.temperature

    @property
    def cost(self) -> Cost:
        """What it took so far."""
        seconds = time.monotonic() - self._begun
        return Cost(self._prompt_tokens, self._new_tokens, 0, self._passes, seconds)

    def check_prompt(self, tokens: int) -> None:
        """Make sure that something fits after a prompt of so many tokens.

        Raises:
            PromptTooLongError: nothing does.
        """
        if tokens >= self.length:
            raise PromptTooLongError(
                f"the prompt takes {tokens} tokens and the model {self.length}: nothing fits after it; "
                "shorten the program or the history"
            )

    def left(self, text: Text) -> int:
        """How many tokens may still be predicted."""
        left = self.length - len(text.prompt) - len(text.ids)
        if self.settings.max_new_tokens is not None:
            left = min(left, self.settings.max_new_tokens - (len(text.ids) - text.given))
        return max(left, 0)

    def ask(self, texts: Sequence[Text], stop_ids: frozenset[int], limit: int = sys.maxsize) -> None:
        """Continue texts that have tokens left, each up to a stop token, its budget or `limit` tokens."""
        asks = []
        for text in texts:
            ids = [*text.prompt, *text.ids]
            seed = self.settings.sampling.seed_for(self._sample, ids)
            asks.append(Ask(ids, min(self.left(text), limit), stop_ids, seed, text.grammar))
        answers = self._backend.continue_all(asks, logprobs=self.settings.logprobs)
        for text, ask, answer in zip(texts, asks, answers, strict=True):
            if not answer.ids and not answer.exhausted:
                raise CwmTraceError("the model answered with no token at all: ask for one at least")
            text.ids += answer.ids
            text.logprobs += answer.logprobs or [0.0] * len(answer.ids)
            text.exhausted = answer.exhausted
            self._prompt_tokens += len(ask.ids)
            self._new_tokens += len(answer.ids)
            self._passes += answer.passes

    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        """Judge a draft, from `start` on."""
        verdicts = self._backend.judge(ids, start)
        self._prompt_tokens += start + len(verdicts)
        self._passes += 1
        return verdicts

    def accept(self, text: Text, draft: Sequence[int], verdicts: Sequence[Verdict]) -> int:
        """Take what the model would have said itself, and return how many tokens that is."""
        right = next((at for at, verdict in enumerate(verdicts) if not verdict.agrees), len(verdicts))
        right = min(right, len(draft), self.left(text))
        text.ids += draft[:right]
        text.logprobs += [verdict.logprob for verdict in verdicts[:right]]
        self._new_tokens += right
        return right

    def fields(self, text: Text, start: int, stop: int) -> dict[str, tuple[float, ...]] | None:
        """Log-probabilities of the frame that these ids are, if they were asked for."""
        if not self.settings.logprobs:
            return None
        return field_logprobs(text.ids[start:stop], text.logprobs[start:stop], self.tokens)

"""Rollouts of a model that is asked: it continues each until it stops, and is asked again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backend import Meter, Start
from cwm_trace.model.predict.backends.continuer import Ask, Continuer, check_sampling, seed_for
from cwm_trace.model.predict.lark import Given, frame_grammar
from cwm_trace.model.predict.prediction import Setup
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.true_frames import Span
from cwm_trace.predict.modes import ModeKind
from cwm_trace.records import Decoding, Frame
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.tokens import Special, TraceTokens

_FIRST_CHUNK = 128
"""Tokens of the first continuation of a free prediction; each further one is twice as long, so that a
model which runs on past the last frame that was asked for wastes no more than it has said."""
_TOGETHER = 64
"""Texts that are asked for at once: all of them are in memory."""


class AskingBackend:
    """Predicts with a model that continues ids.

    Args:
        model: that is asked.
        tokens: its tokenizer's mapping.
        decoding: how it decodes. With a grammar each frame is asked for by itself, with its own.
        profile: how frames are written.

    Raises:
        CwmTraceError: tokens cannot be drawn so.
    """

    together = 1

    def __init__(
        self, model: Continuer, tokens: TraceTokens, decoding: Decoding, profile: FormatProfile
    ) -> None:
        check_sampling(decoding)
        self.model = model
        self.length = model.length
        self._tokens, self._decoding, self._profile = tokens, decoding, profile
        self._separator, self._end = tokens.ids[Special.FRAME], tokens.ids[Special.END]

    def sampler(self, seed: int) -> int:
        """The seed itself: draws are the model's own."""
        return seed

    def judge(self, ids: Sequence[int], start: int, spans: Sequence[Span], meter: Meter) -> bool:
        """Let the model score the true text in one pass, where it can and what it says is greedy and free."""
        decoding = self._decoding
        if decoding.temperature or decoding.constrained or not decoding.drafts or not self.model.can_judge:
            return False
        last = max((span.choices[-1].position for span in spans if span.choices), default=-1)
        if last < 0:
            return True
        verdicts = self.model.judge(ids[: last + 1], start)
        meter.attention = self.model.attention
        meter.prompt_tokens += start + len(verdicts)
        meter.passes += 1
        for span in spans:
            for choice in span.choices:
                verdict = next(iter(verdicts[choice.position - start :][:1]), None)
                if verdict is None or not verdict.agrees:  # what was not scored is asked for
                    span.wrong = choice
                    break
                if decoding.logprobs:
                    span.logprobs.append((choice, verdict.logprob))
        return True

    def write(self, starts: Sequence[Start], meter: Meter) -> Iterator[tuple[int, Frame | None]]:
        """Ask until all are done."""
        meter.attention = self.model.attention
        for first in range(0, len(starts), _TOGETHER):
            group = [
                _Text(first + place, start) for place, start in enumerate(starts[first : first + _TOGETHER])
            ]
            while group:
                waiting = [text for text in group if not text.rollout.is_done]
                if waiting:
                    self._ask(waiting, meter)
                for text in group:
                    yield from ((text.index, frame) for frame in text.new_frames())
                    if text.rollout.is_done:
                        yield text.index, None
                group = [text for text in group if not text.rollout.is_done]

    def _ask(self, texts: Sequence[_Text], meter: Meter) -> None:
        asks = []
        for text in texts:
            ids = text.flush()
            limit = min(text.rollout.left, text.chunk if self._runs_on(text.rollout) else sys.maxsize)
            seed = seed_for(self._decoding, text.rollout.sampler or 0, ids)
            grammar = self._grammar(text) if self._decoding.constrained else None
            asks.append(Ask(ids, limit, self._stops(text.rollout), seed, grammar))
        answers = self.model.continue_all(asks, logprobs=self._decoding.logprobs)
        for text, ask, answer in zip(texts, asks, answers, strict=True):
            if not answer.ids and not answer.exhausted:
                raise CwmTraceError("the model answered with no token at all: ask for one at least")
            meter.prompt_tokens += len(ask.ids)
            meter.passes += answer.passes
            text.chunk *= 2
            for place, number in enumerate(answer.ids):
                if text.rollout.is_done:
                    break
                text.rollout.take(number, None if answer.logprobs is None else answer.logprobs[place])
            if answer.exhausted and not text.rollout.is_done:
                text.rollout.give_up()

    def _runs_on(self, rollout: Rollout) -> bool:
        """Whether nothing stops a continuation before the end of the trace."""
        return not rollout.mode.needs_truth and not self._decoding.constrained

    def _stops(self, rollout: Rollout) -> frozenset[int]:
        """What ends a continuation: the end token, and where the mode may have to force something."""
        if self._decoding.constrained or rollout.mode.needs_truth:
            return frozenset({self._end, self._separator})
        match rollout.mode.kind:
            case ModeKind.FREE:
                return frozenset({self._end})
            case ModeKind.STEP_OVER if not rollout.frame.ids:
                return frozenset({self._end, self._tokens.ids[Special.CALL]})
            case _:
                return frozenset({self._end, self._separator})

    def _grammar(self, text: _Text) -> str:
        """Of what is missing of the open frame."""
        rollout = text.rollout
        written, event = rollout.frame.ids, rollout.frame.event
        given: Given = "nothing" if not written else "event" if len(written) == 1 else "state"
        opening = rollout.reading.opening
        if given != "nothing" and event is not None:
            opening = replace(opening, events=frozenset([event]))
        return frame_grammar(rollout.reader.program, opening, self._profile, given=given)


def asking_setup(
    name: str, model: Continuer, tokens: TraceTokens, decoding: Decoding, profile: FormatProfile
) -> Setup:
    """What a predictor that asks a model needs."""
    backend = AskingBackend(model, tokens, decoding, profile)
    length = sys.maxsize if backend.length is None else backend.length
    return Setup(name, backend, tokens, decoding, profile, length)


class _Text:
    """A rollout with all ids before it."""

    def __init__(self, index: int, start: Start) -> None:
        self.index, self.rollout = index, start.rollout
        self.chunk = _FIRST_CHUNK
        self._ids = list(start.text[: start.at])
        self._seen = 0

    def flush(self) -> list[int]:
        """The ids so far."""
        self._ids += self.rollout.pending
        self.rollout.pending.clear()
        return list(self._ids)

    def new_frames(self) -> list[Frame]:
        """Frames that have come since the last time."""
        new = self.rollout.frames[self._seen :]
        self._seen = len(self.rollout.frames)
        return new

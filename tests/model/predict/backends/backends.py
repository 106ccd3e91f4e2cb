"""A model of a few lines: it says what followed the last ids in a text that it learnt, with mistakes."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Any

from cwm_trace.model.predict.backends.asking import asking_setup
from cwm_trace.model.predict.backends.continuer import Ask, Continuation, Continuer, Verdict
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.records import Decoding
from cwm_trace.wire import CWM, TraceTokens

DECODING = {field.name for field in dataclasses.fields(Decoding)}


def asked(continuer: Continuer, tokens: TraceTokens, **settings: Any) -> ModelPredictor:
    """A predictor that asks this model."""
    decoding = Decoding(**{"predictor": "parrot", "grammar": "none", **settings})
    return ModelPredictor(asking_setup("parrot", continuer, tokens, decoding, CWM))


def sorted_out(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a predictor, with those that are settings of its decoding put together."""
    settings = {name: value for name, value in options.items() if name in DECODING}
    rest = {name: value for name, value in options.items() if name not in DECODING}
    return {**rest, "decoding": Decoding(**settings)}


class Parrot:
    """Continues ids as the text that it learnt does after the longest context it knows, up to 12 ids.

    Args:
        texts: what it learnt.
        noise: share of the tokens that are drawn from all ids instead; the same after the same ids.
        vocabulary: ids that it may draw.
        length: tokens that fit.
        can_judge: whether drafts can be judged.
    """

    ORDER = 12
    attention = ""

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        noise: float = 0.0,
        vocabulary: int = 266,
        length: int | None = None,
        can_judge: bool = True,
    ) -> None:
        self.noise, self.vocabulary, self.length, self.can_judge = noise, vocabulary, length, can_judge
        self.asks: list[Ask] = []
        self.judged = 0
        self._after: dict[tuple[int, ...], int] = {}
        for text in texts:
            for at, number in enumerate(text):
                for order in range(1, min(at, self.ORDER) + 1):
                    self._after.setdefault(tuple(text[at - order : at]), number)

    def next(self, ids: Sequence[int], seed: int | None = None) -> int:
        """The token after `ids`; a seed makes more mistakes, and other ones."""
        context = tuple(ids[-self.ORDER :])
        digest = hashlib.sha256(repr((context, len(ids), seed)).encode()).digest()
        noise = self.noise if seed is None else max(self.noise, 0.2)
        if int.from_bytes(digest[:4], "big") / 2**32 < noise:
            return int.from_bytes(digest[4:8], "big") % self.vocabulary
        for order in range(len(context), 0, -1):
            if context[-order:] in self._after:
                return self._after[context[-order:]]
        return digest[9] % self.vocabulary

    def logprob(self, ids: Sequence[int], number: int) -> float:
        """Some number that depends on the ids alone, higher for the token that it would say."""
        return math.log(0.6 if self.next(ids) == number else 0.1) - (len(ids) % 7) / 100

    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:
        answers = []
        for ask in asks:
            self.asks.append(ask)
            assert ask.max_new_tokens > 0
            assert ask.ids
            assert self.length is None or len(ask.ids) + ask.max_new_tokens <= self.length
            ids, chosen = list(ask.ids), []
            while len(ids) < len(ask.ids) + ask.max_new_tokens:
                number = self.next(ids, ask.seed)
                chosen.append(self.logprob(ids, number))
                ids.append(number)
                if number in ask.stop_ids:
                    break
            new = tuple(ids[len(ask.ids) :])
            answers.append(Continuation(new, tuple(chosen) if logprobs else None, len(new)))
        return answers

    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        assert self.can_judge
        self.judged += 1
        return [
            Verdict(self.next(ids[:at]) == ids[at], self.logprob(ids[:at], ids[at]))
            for at in range(start, len(ids) if self.length is None else min(len(ids), self.length))
        ]

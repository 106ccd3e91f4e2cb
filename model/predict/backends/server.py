"""A model behind an OpenAI-compatible `/v1/completions`, ids in and ids out: vLLM.

Everything is explicit in a request, since servers have defaults of their own (16 tokens; the sampling of
`generation_config.json`). An answer is believed only if it can be one: as many texts as were asked for, ids
of the vocabulary, a stop token at the end or as many tokens as were asked for. A server that clips the number
of tokens to its model length does so without a word, so lengths are planned here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.asking import asking_setup
from cwm_trace.model.predict.backends.completions import PATIENT, Client, Patience, ServerError
from cwm_trace.model.predict.backends.continuer import Ask, Continuation, Verdict
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.predict.kept_answers import Answers
from cwm_trace.records import Decoding
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import TraceTokens

_BATCH = 16
"""Prompts of one request, at the most."""


class ServerPredictor(ModelPredictor):
    """Predicts with a served model.

    Args:
        url: of the server, such as `http://127.0.0.1:8000`.
        model: the name it is served under; None: the only one there is.
        tokenizer: a tokenizer, or its folder or hub id; None: what the server says its model was loaded from.
        decoding: how it is to decode. With the grammar `frame` every frame is kept valid: the grammar of each
            goes along as `structured_outputs` for vLLM's guidance backend; with `flow` it also says which
            step Python can take, in modes that go back to the truth. Drafts, which go through
            `prompt_logprobs`, are left out then: those probabilities know of no grammar.
        profile: how frames are written.
        concurrency: requests to the server at a time.
        answers: a file that keeps every answer, so that a run that was cut short goes on where it ended.
        key: API key.
        patience: time-outs and retries.

    Raises:
        CwmTraceError: there is no such server or model, or the tokenizer lacks the trace tokens.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        tokenizer: Any = None,
        *,
        decoding: Decoding = Decoding(),
        profile: FormatProfile = CWM,
        concurrency: int = 8,
        answers: str | os.PathLike[str] | None = None,
        key: str | None = None,
        patience: Patience = PATIENT,
    ) -> None:
        client = Client(url, key, patience)
        hasty = replace(patience, tries=min(patience.tries, 2))  # a wrong address is said soon
        card = find_model(Client(url, key, hasty), model)
        name = str(card["id"])
        if tokenizer is None or isinstance(tokenizer, str | Path):
            tokenizer = _load_tokenizer(client.url, card, tokenizer)
        tokens = TraceTokens.from_tokenizer(tokenizer)
        decoding = replace(
            decoding,
            predictor="server",
            model=f"{client.url}#{name}",
            fingerprint=_said_of_itself(card),
            grammar=decoding.grammar or "none",
            profile=profile.name,
            profile_hash=profile.hash,
        )
        continuer = ServerContinuer(client, card, decoding, concurrency=concurrency, answers=Answers(answers))
        super().__init__(asking_setup(name, continuer, tokens, decoding, profile), concurrency)
        self._client = client

    def _stop(self) -> None:
        self._client.stop()


def _load_tokenizer(url: str, card: Mapping[str, Any], chosen: str | Path | None) -> Any:
    """The tokenizer that was chosen, or the one of what the server says of itself.

    Raises:
        CwmTraceError: a served name need not be one to load anything from; then it has to be chosen.
    """
    from cwm_trace.model.tokenizer import load_tokenizer

    if chosen is not None:
        return load_tokenizer(chosen)
    names = [str(card[key]) for key in ("root", "parent", "id") if card.get(key)]
    for name in dict.fromkeys(names):
        is_hub_id = re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None
        if os.path.isdir(name) or is_hub_id:
            try:
                return load_tokenizer(name)
            except CwmTraceError as error:
                reason = f" ({error})"
                break
    else:
        reason = ""
    raise CwmTraceError(
        f"the server at {url} serves {card['id']!r}, and no tokenizer here has that name{reason}:"
        " give --model-arg tokenizer=FOLDER_OR_ID"
    )


def _said_of_itself(card: Mapping[str, Any]) -> str:
    """A digest of what a server says of its model: where it was loaded from, its length, its parent."""
    said = {name: card.get(name) for name in ("id", "root", "parent", "max_model_len", "owned_by")}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def find_model(client: Client, model: str | None) -> dict[str, Any]:
    """The server's card of a model.

    Raises:
        CwmTraceError: it does not serve it, or several and none was named.
    """
    cards = client.get("/v1/models").get("data")
    cards = [card for card in cards or [] if isinstance(card, dict) and "id" in card]
    names = ", ".join(str(card["id"]) for card in cards) or "none"
    card: dict[str, Any]
    for card in cards:
        if card["id"] == model or (model is None and len(cards) == 1):
            return card
    if model is None:
        raise CwmTraceError(
            f"the server at {client.url} serves several models, give {client.url}#NAME for one of: {names}"
        )
    raise CwmTraceError(f"the server at {client.url} serves no model {model!r}, only: {names}")


class ServerContinuer:
    """Continues ids through `/v1/completions`.

    Args:
        client: of the server.
        card: what the server says of the model.
        decoding: temperature and top-p, the length, which is `max_model_len` of the card if it says none, and
            further fields of each completion request; seeds come with each text.
        concurrency: requests at a time.
        answers: what has been answered before.
    """

    can_judge = True
    attention = ""

    def __init__(
        self,
        client: Client,
        card: Mapping[str, Any],
        decoding: Decoding = Decoding(),
        *,
        concurrency: int = 8,
        answers: Answers | None = None,
    ) -> None:
        self._client, self._decoding = client, decoding
        self._model, self._root = str(card["id"]), card.get("root")
        stated = card.get("max_model_len")
        self.length: int | None = stated if decoding.max_length is None else decoding.max_length
        if self.length is None:
            raise CwmTraceError(
                f"the server at {client.url} does not say how many tokens its model takes:"
                " give --model-arg max_length=TOKENS"
            )
        self._answers = Answers(None) if answers is None else answers
        self._extra = dict(decoding.extra)
        self._pool = ThreadPoolExecutor(max(1, concurrency), "cwm-trace-request")

    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:
        """Continue each text; greedy ones with the same limits go in batches."""
        found: dict[int, Continuation] = {}
        waiting = []
        for index, ask in enumerate(asks):
            kept = self._answers.find(self._question(ask, logprobs))
            if kept is None:
                waiting.append(index)
            else:
                found[index] = Continuation(tuple(kept[0]), kept[1] and tuple(kept[1]), len(kept[0]))
        futures = [
            self._pool.submit(self._complete, [(index, asks[index]) for index in batch], logprobs)
            for batch in _batches(waiting, asks)
        ]
        try:
            for future in futures:
                found.update(future.result())
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        return [found[index] for index in range(len(asks))]

    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        """Judge the tokens of `ids` from `start` on by `prompt_logprobs`, in one request.

        A token agrees if no other is as likely: vLLM's rank counts those that are at least as likely.
        """
        assert self.length is not None
        ids = list(ids[: self.length - 1])  # the server wants room for one more
        fields = {"prompt": ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 1}
        question = {"model": self._model, "root": self._root, "start": start, **fields}
        rows = self._answers.find(question)
        if rows is None:
            asked = {"model": self._model, **fields}
            answer = self._pool.submit(self._client.post, "/v1/completions", asked).result()
            rows = self._rows(answer, ids, start)
            self._answers.keep(question, rows)
        return [Verdict(agrees, logprob) for agrees, logprob in rows]

    def _rows(self, answer: Mapping[str, Any], ids: Sequence[int], start: int) -> list[tuple[bool, float]]:
        (choice,) = self._choices(answer, 1)
        table = choice.get("prompt_logprobs")
        if not isinstance(table, list) or len(table) != len(ids):
            raise self._nonsense("no log-probabilities of the prompt: give --model-arg drafts=no")
        rows = []
        for number, row in zip(ids[start:], table[start:], strict=True):
            try:
                own = row[str(number)]
                logprob = float(own["logprob"])
                likelier = any(
                    float(other["logprob"]) >= logprob for key, other in row.items() if key != str(number)
                )
            except (KeyError, TypeError, ValueError):
                raise self._nonsense("log-probabilities of another prompt") from None
            rows.append((not likelier and own.get("rank", 1) == 1, logprob))
        return rows

    def _complete(self, batch: list[tuple[int, Ask]], logprobs: bool) -> dict[int, Continuation]:
        first = batch[0][1]
        fields = {
            "model": self._model,
            **self._fields(first, logprobs),
            "prompt": [ask.ids for _, ask in batch],
        }
        choices = self._choices(self._client.post("/v1/completions", fields), len(batch))
        found = {}
        for (index, ask), choice in zip(batch, choices, strict=True):
            answer = self._read(choice, ask, logprobs)
            self._answers.keep(self._question(ask, logprobs), [answer.ids, answer.logprobs])
            found[index] = answer
        return found

    def _fields(self, ask: Ask, logprobs: bool) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "max_tokens": ask.max_new_tokens,
            "stop_token_ids": sorted(ask.stop_ids),
            "ignore_eos": True,  # what ends a text is said above, and nothing else does
            "temperature": 0.0 if ask.seed is None else self._decoding.temperature,
            "top_p": 1.0 if ask.seed is None else self._decoding.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "return_token_ids": True,
            "skip_special_tokens": False,
        }
        if ask.seed is not None:
            fields["seed"] = ask.seed
        if logprobs:
            fields |= {"logprobs": 1, "return_tokens_as_token_ids": True}
        if ask.grammar is not None:
            fields["structured_outputs"] = {"grammar": ask.grammar}
        return fields | self._extra

    def _question(self, ask: Ask, logprobs: bool) -> Any:
        fields = self._fields(ask, logprobs)
        return {"model": self._model, "root": self._root, "prompt": ask.ids, **fields}

    def _choices(self, answer: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
        choices = answer.get("choices")
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise self._nonsense("no choices")
        found = {choice.get("index", 0): choice for choice in choices}
        if sorted(found, key=str) != sorted(range(count), key=str) or len(choices) != count:
            raise self._nonsense(f"{len(choices)} texts for {count} prompts")
        return [found[index] for index in range(count)]

    def _read(self, choice: Mapping[str, Any], ask: Ask, logprobs: bool) -> Continuation:
        """Check one text."""
        ids, prompt = choice.get("token_ids"), choice.get("prompt_token_ids")
        if not isinstance(ids, list):
            raise self._nonsense("no token ids: it takes a vLLM of 2025 or later (`return_token_ids`)")
        if not all(isinstance(number, int) and number >= 0 for number in ids):
            raise self._nonsense("token ids that are none")
        if prompt is not None and prompt != ask.ids:
            raise self._nonsense("the continuation of another prompt")
        if not ids or ask.stop_ids.intersection(ids[:-1]) or len(ids) > ask.max_new_tokens:
            raise self._nonsense("tokens after a stop token, none at all, or more than were asked for")
        if ids[-1] not in ask.stop_ids and len(ids) < ask.max_new_tokens:
            if choice.get("finish_reason") == "length":
                raise ServerError(
                    f"the server at {self._client.url} stopped after {len(ids)} of {ask.max_new_tokens} "
                    f"tokens: its model takes fewer than {self.length}, give --model-arg max_length=TOKENS"
                )
            raise self._nonsense(f"a text that ends, without a stop token, after {len(ids)} tokens")
        chosen = None
        if logprobs:
            chosen = (choice.get("logprobs") or {}).get("token_logprobs")
            if not isinstance(chosen, list) or len(chosen) != len(ids):
                raise self._nonsense("no log-probabilities, or not one for each token")
            chosen = tuple(float(value) for value in chosen)
        return Continuation(tuple(ids), chosen, len(ids))

    def _nonsense(self, what: str) -> ServerError:
        return ServerError(f"the server at {self._client.url} answered with {what}")


def _batches(indices: Sequence[int], asks: Sequence[Ask]) -> Iterator[list[int]]:
    """Greedy texts with the same limits together; those of one request would share their seed."""

    def kind(index: int) -> tuple[bool, int, list[int], str]:
        ask = asks[index]
        return ask.seed is not None, ask.max_new_tokens, sorted(ask.stop_ids), ask.grammar or ""

    for (sampled, *_), group in groupby(sorted(indices, key=kind), kind):
        members = list(group)
        size = 1 if sampled else _BATCH
        for at in range(0, len(members), size):
            yield members[at : at + size]

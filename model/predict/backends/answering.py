"""Models behind a server that answer in words: `/v1/completions` with a text, and `/v1/chat/completions`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.completions import PATIENT, Client, Patience, ServerError
from cwm_trace.model.predict.backends.server import find_model
from cwm_trace.predict.kept_answers import Answers
from cwm_trace.predict.questions import Question
from cwm_trace.records import Decoding

_MAX_TOKENS = 1024
"""Of an answer, if nobody says otherwise."""


class ServedWriter:
    """Answers with a served model.

    Args:
        url: of the server.
        model: the name it is served under; None: the only one there is.
        chat: whether it is a chat.
        decoding: temperature, top-p, seed, `max_new_tokens`, and further fields of each request.
        answers: a file that keeps every answer.
        patience: time-outs and retries.

    Raises:
        CwmTraceError: there is no such server or model.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        chat: bool = False,
        decoding: Decoding = Decoding(),
        answers: str | os.PathLike[str] | None = None,
        patience: Patience = PATIENT,
    ) -> None:
        if decoding.constrained or decoding.logprobs:
            raise CwmTraceError("an answer in words has no grammar and no log-probabilities of ours")
        self._client, self._chat = Client(url, None, patience), chat
        self._model = model or self._only_model()
        self._answers = Answers(answers)
        self.name = self._model.rpartition("/")[2]
        self.decoding = replace(
            decoding,
            predictor="chat" if chat else "server",
            model=f"{self._client.url}#{self._model}",
            grammar="none",
            max_new_tokens=decoding.max_new_tokens or _MAX_TOKENS,
        )

    def write(self, question: Question, sample: int = 0) -> str:
        """The answer; the same question and sample get the same one while the file of answers is kept."""
        decoding = self.decoding
        fields: dict[str, Any] = {
            "model": self._model,
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
        }
        if decoding.temperature:
            fields["seed"] = decoding.seed + sample
        if self._chat:
            path, fields["messages"] = "/v1/chat/completions", [{"role": "user", "content": question.chat}]
        else:
            path, fields["prompt"] = "/v1/completions", question.completion
            fields["stop"] = list(question.stops[:4])  # more, OpenAI's own server refuses
        fields |= decoding.extra
        kept = self._answers.find(fields)
        if isinstance(kept, str):
            return kept
        text = self._text(self._client.post(path, fields))
        self._answers.keep(fields, text)
        return text

    def _text(self, answer: Mapping[str, Any]) -> str:
        try:
            choice = answer["choices"][0]
            return str((choice["message"]["content"] if self._chat else choice["text"]) or "")
        except (KeyError, IndexError, TypeError):
            raise ServerError(f"the server at {self._client.url} answered with no text") from None

    def _only_model(self) -> str:
        return str(find_model(self._client, None)["id"])

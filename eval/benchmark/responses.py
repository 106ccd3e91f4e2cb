"""Responses that were paid for already: predictions by model, prompt and decoding, in a file of answers."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.stored import dump_prediction, load_prediction
from cwm_trace.files import make_folder
from cwm_trace.plain import SourceLines, frame_fields
from cwm_trace.predict.kept_answers import Answers
from cwm_trace.predict.modes import parse_mode
from cwm_trace.predict.protocol import Predictor, Request, predict_all
from cwm_trace.records import Trace
from cwm_trace.wire.render import render_prompt
from cwm_trace.wire.tokens import TraceTokens

_FILE_NAME = "responses.jsonl"
_OLDER = "responses.sqlite"


class ResponseCache:
    """A folder's predictions; several processes may share it.

    Args:
        folder: made if it does not exist.

    Raises:
        CwmTraceError: it cannot be made, or its file is no cache.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / _FILE_NAME
        self.hits = 0
        make_folder(self.path.parent)
        older = None if self.path.exists() else self.path.with_name(_OLDER)
        self._answers = Answers(self.path)
        if older is not None and older.exists():
            _take_over(older, self._answers)

    def predict_all(self, predictor: Predictor, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        """As `cwm_trace.predict.protocol.predict_all`, asking only for what is not known yet.

        A prediction that ran out of time is not kept: with more time it would be another one.

        Raises:
            CwmTraceError: the predictor cannot do it, or the cache cannot be written.
        """
        keys = [response_key(predictor, request) for request in requests]
        missing = []
        for index, request in enumerate(requests):
            known = self._get(keys[index], request)
            if known is None:
                missing.append(index)
            else:
                self.hits += 1
                yield index, known
        for place, predicted in predict_all(predictor, [requests[index] for index in missing]):
            if predicted.outcome.value != "timed-out":
                self._put(keys[missing[place]], predicted)
            yield missing[place], predicted

    def close(self) -> None:
        """Close the file."""
        self._answers.close()

    def _get(self, key: str, request: Request) -> Trace | None:
        known = self._answers.find(key)
        try:
            return None if known is None else load_prediction(known, request.history)
        except ValueError as error:
            raise CwmTraceError(f"cannot read the cache {self.path}: {error}") from error

    def _put(self, key: str, predicted: Trace) -> None:
        self._answers.keep(key, dump_prediction(predicted))


def _take_over(path: Path, answers: Answers) -> None:
    """What an older version kept in SQLite; its file stays."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as store:
            for key, trace in store.execute("SELECT key, trace FROM responses"):
                answers.keep(key, json.loads(trace))
    except (sqlite3.Error, ValueError) as error:
        raise CwmTraceError(f"cannot read the older cache {path}: {error}") from error


def response_key(predictor: Predictor, request: Request) -> str:
    """Equal for requests that must get equal answers: who predicts and how, prompt, mode, truth, budget.

    The prompt is in ids where the predictor has `tokens`, else in text.
    """
    tokens = getattr(predictor, "tokens", None)
    history = request.history
    prompt: object = render_prompt(
        history, given=len(history.frames), tokens=tokens if isinstance(tokens, TraceTokens) else None
    )
    mode = parse_mode(request.mode)
    parts = {
        "decoding": predictor.decoding.digest,
        "max_frames": request.max_frames,
        "sample": request.sample,
        "mode": str(mode),
        "prompt": prompt,
        "truth": _frames(request.truth) if mode.needs_truth and request.truth is not None else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


def _frames(trace: Trace) -> list[Any]:
    sources = SourceLines(trace.files)
    return [trace.outcome.value, *(frame_fields(frame, sources) for frame in trace.frames)]

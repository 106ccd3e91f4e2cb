from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from cwm_trace import trace_execution
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.responses import ResponseCache, response_key
from cwm_trace.eval.benchmark.stored import dump_prediction
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.registry import find_predictor
from cwm_trace.records import Trace

PREDICTOR = find_predictor("copy")
SOURCE = "def f(n):\n    t = '\\ud800'\n    for i in range(n):\n        t += 'x'\n    return t\n"
TRUTH = trace_execution(SOURCE, call="f(2)")
REQUEST = Request(TRUTH, "forced", TRUTH, 50)


def predict(cache: ResponseCache) -> Trace:
    ((_, predicted),) = cache.predict_all(PREDICTOR, [REQUEST])
    return predicted


def test_what_is_known_is_not_asked_again(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "new" / "folder")
    first = predict(cache)
    assert cache.hits == 0
    cache.close()
    again = ResponseCache(tmp_path / "new" / "folder")
    assert predict(again) == first
    assert again.hits == 1
    again.close()


def test_a_cache_of_an_older_version_is_taken_over(tmp_path: Path) -> None:
    predicted = dump_prediction(predict(ResponseCache(tmp_path / "other")))
    with sqlite3.connect(tmp_path / "responses.sqlite") as store:
        store.execute("CREATE TABLE responses (key TEXT PRIMARY KEY, trace BLOB)")
        row = response_key(PREDICTOR, REQUEST), json.dumps(predicted).encode()
        store.execute("INSERT INTO responses VALUES (?, ?)", row)
    store.close()
    cache = ResponseCache(tmp_path)
    assert dump_prediction(predict(cache)) == predicted
    assert cache.hits == 1
    cache.close()


def test_what_is_no_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "responses.sqlite").write_text("a text")
    with pytest.raises(CwmTraceError, match=r"cannot read the older cache .*responses\.sqlite"):
        ResponseCache(tmp_path)
    (tmp_path / "responses.jsonl").write_text("a text\n")
    with pytest.raises(CwmTraceError, match="is no file of kept answers"):
        ResponseCache(tmp_path)

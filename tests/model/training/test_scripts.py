"""A script that is trained on is, id by id, what `cwm-trace run --predict script.py` asks about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace.api import predict_execution
from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.tokenizing import tokenize_trace
from cwm_trace.model.tokenizer import load_tokenizer
from cwm_trace.model.tokens import read_tokens
from cwm_trace.model.training.stream import record
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Decoding, Trace
from cwm_trace.storage import read_trace
from cwm_trace.wire.render import render_prompt, render_trace
from cwm_trace.wire.tokens import TraceTokens

MINI = Path(__file__).parents[3] / "model" / "pretrained" / "cwm-mini"

COLLATZ = """\
n = 6
steps = 0
while n != 1:
    if n % 2 == 0:
        n //= 2
    else:
        n = 3 * n + 1
    steps += 1
print("steps", steps)
"""


class Spy:
    """A predictor that only remembers what it was asked."""

    name = "spy"
    decoding = Decoding("spy")

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def predict(self, request: Request) -> Trace:
        self.requests.append(request)
        return request.history


@pytest.mark.parametrize("number", range(4))
def test_ids_of_a_script_are_those_that_run_and_predict_use(number: int, tmp_path: Path) -> None:
    item = make_item("scripts-v1", number)
    if number == 3:
        item = type(item)("collatz", COLLATZ, "", "own")
    (tmp_path / "script.py").write_text(item.source)
    command = [sys.executable, "-m", "cwm_trace", "run", "-q", "script.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    real = read_trace(tmp_path / "script.trace.jsonl")
    spy = Spy()
    start = Trace(real.program, real.frames[:1])
    predict_execution(start, model=spy, mode="forced", history=real)
    asked = TraceTokens.from_tokenizer(load_tokenizer(MINI))
    history = spy.requests[0].history
    prompt = render_prompt(history, given=len(history.frames), tokens=asked)
    trace = record(item)
    assert trace is not None
    document = tokenize_trace(trace, read_tokens(MINI / "tokenizer.json"))
    assert list(document.ids[: document.given]) == prompt
    assert list(document.ids) == render_trace(real, tokens=asked)
    assert document.ids == tokenize_trace(real, asked).ids
    assert trace.entry == real.entry == "<module>"

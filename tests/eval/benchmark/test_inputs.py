from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.generations import read_rows
from cwm_trace.eval.benchmark.inputs import ask_for_input, judge_inputs, read_call, rescore_inputs, run_inputs
from cwm_trace.eval.benchmark.results import Results
from cwm_trace.eval.benchmark.tasks import find_tasks
from cwm_trace.predict.questions import Question
from cwm_trace.predict.registry import find_writer
from cwm_trace.records import Decoding

ROWS = [
    {"id": "sample_0", "code": "def f(x):\n    return x * 2", "input": "2", "output": "4"},
    {"id": "sample_1", "code": "def f(a, b=1):\n    return [a, b]", "input": "'y'", "output": "['y', 1]"},
]


@pytest.fixture
def task(tmp_path: Path) -> str:
    path = tmp_path / "task.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return f"cruxeval:{path}"


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("f(2)", "f(2)"),
        ("2", "f(2)"),
        ("2) == 4\n", "f(2)"),
        ("'a)', (1, 2)) == 3", "f('a)', (1, 2))"),
        ("I tried f(1), but the answer is `f([1, (2)])`.", "f([1, (2)])"),
        ("[ANSWER]f(b=3)[/ANSWER]", "f(b=3)"),
        ("<think>f(1)</think>\n```python\nassert f(2) == 4\n```", "f(2)"),
        ("assert f(\n  2,\n) == 4", "f(\n  2,\n)"),
        ("there is none", ""),
        ("", "f()"),
    ],
)
def test_the_call_in_an_answer(text: str, call: str) -> None:
    assert read_call(text, "f") == call


def test_inputs_are_run_and_only_literals(task: str) -> None:
    cases = find_tasks([task])[0].cases
    texts = ["f(2)", "f(2.0)", "f(3)", "f(1 + 1)", "f(f(1))", "no idea", "f('')", "f(*[2])"]
    found = [line.score.answer for line in judge_inputs(cases[0], texts)]
    right, wrong, none = "executed-right", "executed-wrong", "no-literal"
    assert found == [right, right, wrong, none, none, "missing", wrong, none]
    (line,) = judge_inputs(cases[1], ["f(b=1, a='y')"])
    assert (line.score.answer, line.said, line.result) == (right, "f(b=1, a='y')", "complete")


def test_the_question_has_the_output_and_not_the_input(task: str) -> None:
    question = ask_for_input(find_tasks([task])[0].cases[1])
    assert isinstance(question, Question)
    for text in (question.completion, question.chat):
        assert "['y', 1]" in text
        assert "f('y')" not in text
    assert question.completion.endswith("assert f(")


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answers the first program, and refuses every other request for the second."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({**fields, "path": self.path, "key": self.headers.get("Authorization")})
            second = "['y', 1]" in json.dumps(fields)
            refused = second and sum("['y', 1]" in json.dumps(other) for other in asked) % 2 == 1
            said = "'y') == ['y', 1]" if second else "2)"
            body: Any = {"choices": [{"text": said, "message": {"content": f"f({said}"}}]}
            self.send_response(400 if refused else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"error": "odd"} if refused else body).encode())

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}", asked
    listener.shutdown()
    listener.server_close()


@pytest.mark.parametrize("chat", [False, True])
def test_a_server_is_asked_and_a_refusal_is_asked_again(
    server: tuple[str, list[dict[str, Any]]],
    task: str,
    chat: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, asked = server
    monkeypatch.setenv("CWM_TRACE_API_KEY", "secret-key")
    writer = find_writer(
        f"{'chat:' if chat else ''}{url}#org/some-model", Decoding(), {"extra": '{"top_k": 5}'}
    )
    (found,) = find_tasks([task])
    run = run_inputs(found, writer, tmp_path / "logs")
    assert [(line.id, line.score.answer) for line in run.programs] == [
        ("cruxeval/sample_0", "executed-right")
    ]
    assert [line.id for line in run.failed] == ["cruxeval/sample_1"]
    assert not run.is_complete
    again = run_inputs(found, writer, tmp_path / "logs", resume=True)
    assert again.is_complete
    assert len(asked) == 3
    assert {request["key"] for request in asked} == {"Bearer secret-key"}
    assert {request["top_k"] for request in asked} == {5}
    assert {request["path"] for request in asked} == {"/v1/chat/completions" if chat else "/v1/completions"}
    assert b"secret-key" not in again.path.read_bytes()
    table = Results((again,)).to_markdown()
    assert "| the input that is found gives the output | 1.000" in table


def test_finished_answers(task: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"sample_0": ["f(2)", "f(3)"], "sample_1": ["f('y')", "f('y', 1)"]}))
    rows = read_rows(str(path), find_tasks([task])[0].cases)
    run = rescore_inputs(rows, str(path), tmp_path / "logs")
    metrics = Results((run,)).reports[0].metrics
    assert (metrics["output_accuracy"].value, metrics["pass_at_2"].value) == (0.75, 1.0)
    assert run.is_complete


def test_who_cannot_be_asked_in_words() -> None:
    with pytest.raises(CwmTraceError, match="copy cannot be asked in words: give http://HOST:PORT#NAME"):
        find_writer("copy")
    with pytest.raises(CwmTraceError, match="has no --model-arg tokenizer: it knows concurrency"):
        find_writer("http://127.0.0.1:1#x", arguments={"tokenizer": "y"})

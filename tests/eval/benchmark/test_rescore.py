from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cwm_trace import render_prompt, render_trace, trace_execution
from cwm_trace.api import evaluate
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.execution import run_answer
from cwm_trace.eval.benchmark.log import Run
from cwm_trace.eval.benchmark.rescore import is_log, rescore, rescore_log
from cwm_trace.eval.benchmark.results import Results, require_programs
from cwm_trace.progress import Progress
from tests.eval.predictors import NoisyPredictor

CODE = "def f(x):\n    y = x + 1\n    return y"


def truth(code: str = CODE, call: str = "f(2)") -> tuple[str, str]:
    """The prompt, and what a perfect model writes after it."""
    trace = trace_execution(f"{code}\n", call=call)
    prompt = render_prompt(trace)
    return prompt, render_trace(trace).removeprefix(prompt)


def score(rows: list[dict[str, Any]], folder: Path, **more: Any) -> Run:
    folder.mkdir(exist_ok=True)
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rescore(path, folder / "logs", **more)


def row(name: str, generation: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "code": CODE, "input": "2", "expected": "3", "generation": generation, **more}


def test_what_others_generated_is_scored_as_ours_is(tmp_path: Path) -> None:
    right = truth()[1]
    rows = [
        row("right", right),
        row("no end token", right.removesuffix("<|end_of_text|>")),
        row("wrong value", right.replace('"3"<|frame_sep|><|end', '"4"<|frame_sep|><|end')),
        row("cut", right[: len(right) // 2]),
        row("nonsense", "I think the answer is 3."),
        row("empty", ""),
        row("too long", right.removesuffix("<|end_of_text|>") + right),
    ]
    run = score(rows, tmp_path)
    found = {line.id: (line.result, line.score.output, line.score.trace_exact) for line in run.programs}
    assert found["right"] == found["no end token"] == ("complete", True, True)
    assert found["wrong value"] == ("complete", False, False)
    assert found["cut"] == ("truncated", False, False)
    assert found["nonsense"] == found["empty"] == ("no-trace", False, False)
    assert found["too long"][2] is False
    reasons = {line.id: line.reason for line in run.programs if line.reason}
    assert reasons == {
        "nonsense": "there is no frame in it, only 'I think the answer is 3.'",
        "empty": "it is empty",
    }
    assert run.header.published == "cruxeval"
    assert (run.header.model, run.header.source) == ("rows", str(tmp_path / "rows.jsonl"))
    assert run.is_complete


def test_whole_prompts_are_taken_apart(tmp_path: Path) -> None:
    prompt, completion = truth("def g(a):\n    return a * 2", "g([1])")
    asked = {"prompt": prompt, "completion": completion}
    script = {"prompt": prompt.replace("    return g([1])", "    x = 1\n    return x"), "completion": ""}
    run = score([asked, script], tmp_path, model="m")
    assert [(line.id, line.score.trace_exact) for line in run.programs] == [("0", True)]
    assert [(line.id, line.reason) for line in run.excluded] == [
        ("1", "the prompt's entry is no argument-less main that returns a call")
    ]


def test_rows_with_one_id_are_samples_of_a_program(tmp_path: Path) -> None:
    right = truth()[1]
    other = {**row("b", right), "code": CODE.replace("x + 1", "x + 2"), "expected": None}
    run = score([row("a", right), row("a", "nonsense"), row("b", right), other], tmp_path)
    found = {(line.id, line.sample): line.score.output for line in run.programs}
    assert found == {("a", 0): True, ("a", 1): False, ("b", 0): True, ("b#2", 0): False}
    assert run.is_complete
    assert run.header.samples == 2


def test_an_odd_row_is_an_outcome_and_the_others_are_scored(tmp_path: Path) -> None:
    right = truth()[1]
    prompt, completion = truth("def g(a):\n    return a * 2", "g([1])")
    path = tmp_path / "rows.jsonl"
    rows = [
        row("good", right),
        row("other", prompt + completion),
        {"id": "no code", "generation": right},
        {"id": "bad code", "code": "def f(:", "input": "1", "generation": right},
        {"id": "null byte", "code": "x = '\0'", "input": "1", "generation": right},
        {"id": "deep", "code": CODE, "input": "(" * 999 + ")" * 999, "generation": right},
        {"id": "no text", "code": CODE, "input": "2"},
        {"id": "surrogate", "code": CODE, "input": "'\ud800'", "generation": right.replace("3", "\ud800")},
        [1],
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{not json\n")
    run = rescore(path, tmp_path / "logs")
    assert run.is_complete
    found = {line.id: line.result for line in run.programs}
    assert found["good"] == "complete"
    assert found["other"] == "not-comparable"
    reasons = {line.id: line.reason for line in run.excluded}
    assert "line 3: wrong in code" in reasons["no code"]
    assert "cannot be recorded" in reasons["bad code"]
    assert "line 7: wrong in generation" in reasons["no text"]
    assert "line 10: not JSON" in reasons["line 10"]
    assert len(found) + len(reasons) == 10
    report = Results((run,)).reports[0].to_dict()
    assert report["results"]["not-comparable"] == 1
    assert report["faults"] == {"it goes on from the prompt of another program": 1}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "def f(x: List[int]):\n    return x",
            "it raises before its call: NameError: name 'List' is not defined",
        ),
        ("import nothing_of_this_name", "it raises before its call: ModuleNotFoundError: No module named"),
        ("def f(x):\n    raise ValueError('no')", "its result on this Python is ValueError('no'), not the"),
    ],
)
def test_reasons_are_causes(tmp_path: Path, code: str, reason: str) -> None:
    run = score([{**row("a", ""), "code": code}], tmp_path)
    assert [reason in line.reason for line in run.excluded] == [True], run.excluded
    with pytest.raises(CwmTraceError, match="nothing to compare: all 1 programs are excluded: "):
        require_programs([run])


TASK = [
    {"id": "sample_0", "code": "def f(x):\n    return {x, 3}", "input": "2", "output": "{2, 3}"},
    {"id": "sample_1", "code": "def f(x):\n    return x * 3", "input": "'a'", "output": "'aaa'"},
]


@pytest.fixture
def task(tmp_path: Path) -> str:
    path = tmp_path / "task.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in TASK))
    return f"cruxeval:{path}"


ANSWERS: dict[str, Any] = {
    "by id": {"sample_0": ["{3, 2}", "{2}"], "sample_1": ['"aaa"', "'a' * 3"]},
    "in tags": {"sample_0": ["[ANSWER]{3,2}[/ANSWER]", "{2}"], "sample_1": ['f("a") == "aaa"', "'a'*3"]},
    "rows": [
        {"id": "sample_0", "answers": ["{3, 2}", "[2]"]},
        {"id": "cruxeval/sample_1", "answers": ['"aaa"', "'a' * 3"]},
    ],
    "lm-evaluation-harness": [
        {
            "doc_id": n,
            "doc": doc,
            "arguments": [["the prompt", {}]],
            "resps": [texts],
            "filtered_resps": texts,
        }
        for n, (doc, texts) in enumerate(zip(TASK, (["{3, 2}", "1"], ['"aaa"', "'a' * 3"]), strict=True))
    ],
    "batch": [
        {"custom_id": name, "response": {"status_code": 200, "body": {"choices": [a, b]}}, "error": None}
        for name, a, b in [
            ("sample_0", {"text": "{3, 2}"}, {"text": "{2}"}),
            (
                "sample_1",
                {"message": {"content": "```python\n'aaa'\n```"}},
                {"message": {"content": "'a' * 3"}},
            ),
        ]
    ],
}


@pytest.mark.parametrize("form", ANSWERS)
@pytest.mark.parametrize("execute", [False, True])
def test_bare_answers_in_the_forms_that_people_have(
    tmp_path: Path, task: str, form: str, execute: bool
) -> None:
    path = tmp_path / "answers.json"
    data = ANSWERS[form]
    lines = [json.dumps(row) for row in data] if isinstance(data, list) else [json.dumps(data)]
    path.write_text("\n".join(lines))
    run = rescore(path, tmp_path / "logs", tasks=[task], execute=execute)
    assert run.header.mode == "output"
    found = [[line.score.answer for line in lines] for lines in run.by_program.values()]
    assert found == [["right", "wrong"], ["right", "executed-right" if execute else "no-literal"]]
    metrics = Results((run,)).reports[0].metrics
    assert metrics["output_accuracy"].value == (0.75 if execute else 0.5)
    assert metrics["pass_at_2"].value == 1.0
    assert metrics["output_accuracy"].n == 2


def test_an_answer_that_calls_the_function_tells_nothing() -> None:
    assert run_answer("def f(x):\n    return {x, 3}\n", "f(2)", "set([2, 3])")
    assert not run_answer("def f(x):\n    return {x, 3}\n", "f(2)", "f(2)")
    assert not run_answer("def f(x):\n    return 3\n", "f(2)", "1) or (1")
    assert not run_answer("def f(x):\n    return 3\n", "f(2)", "1/0")


def test_a_server_error_in_a_batch_file_and_lost_tokens_are_named(tmp_path: Path, task: str) -> None:
    path = tmp_path / "batch.jsonl"
    error = {"status_code": 500, "body": {"error": {"message": "out of memory"}}}
    path.write_text(json.dumps({"custom_id": "sample_0", "response": error}) + "\n")
    run = rescore(path, tmp_path / "logs", tasks=[task])
    assert [line.reason for line in run.programs] == ["the server answered with an error: out of memory"]
    bare = re.sub(r"<\|\w+\|>", "", truth()[1])
    run = score([row("a", bare)], tmp_path)
    assert "skip_special_tokens=False" in run.programs[0].reason


def test_a_result_that_is_not_the_published_one_is_excluded(tmp_path: Path) -> None:
    run = score([row("a", "", expected="'other'")], tmp_path)
    assert [line.reason for line in run.excluded] == ["its result on this Python is not the published one"]
    assert score([row("a", "", expected="3.0")], tmp_path / "equal").excluded == ()


def test_a_log_of_ours_gives_the_same_scores_again(tmp_path: Path) -> None:
    results = evaluate(
        NoisyPredictor(), "smoke", modes=["free", "forced"], limit=3, baselines=False, output=tmp_path
    )
    for old in results.runs:
        assert is_log(old.path)
        new = rescore_log(old.path, tmp_path / "again")
        assert (new.programs, new.excluded) == (old.programs, old.excluded)
        assert new.header.source == str(old.path)
    evaluate("copy", "smoke", limit=1, baselines=False, output=tmp_path / "copy")
    with pytest.raises(CwmTraceError, match="holds no predictions: run the baselines again"):
        rescore_log(next((tmp_path / "copy").iterdir()), tmp_path / "again")
    assert not is_log(tmp_path)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = [row(str(number), truth()[1]) for number in range(3)]
    whole = score(rows, tmp_path)
    lines = whole.path.read_text().splitlines(keepends=True)
    whole.path.write_text("".join(lines[:2]) + lines[2][:40])
    asked: list[Progress] = []
    again = score(rows, tmp_path, resume=True, report=asked.append)
    assert [(p.done, p.total) for p in asked] == [(2, 2)]
    assert again.programs == whole.programs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("nonsense\n", "is not a JSON Lines file"),
        ('{"id": 1}\n', "line 1: wrong in code"),
        ('{"prompt": "x"}\n', "line 1: wrong in completion"),
        ("[1]\n", "line 1: wrong in its form"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(CwmTraceError, match=words):
        rescore(path, tmp_path / "logs")
    with pytest.raises(CwmTraceError, match="cannot read"):
        rescore(tmp_path / "missing", tmp_path / "logs")

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cwm_trace import render_prompt, render_trace, trace_execution
from cwm_trace.api import evaluate
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import Run
from cwm_trace.eval.benchmark.rescore import is_log, rescore, rescore_log
from cwm_trace.eval.benchmark.runner import Progress
from tests.eval.predictors import NoisyPredictor

CODE = "def f(x):\n    y = x + 1\n    return y"


def truth(code: str = CODE, call: str = "f(2)") -> tuple[str, str]:
    """The prompt, and what a perfect model writes after it."""
    trace = trace_execution(f"{code}\n", call=call)
    prompt = render_prompt(trace)
    return prompt, render_trace(trace).removeprefix(prompt)


def score(rows: list[dict[str, Any]], folder: Path, **more: Any) -> Run:
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
    assert found["nonsense"] == ("unparsable", False, False)
    assert found["empty"] == ("truncated", False, False)
    assert found["too long"][2] is False
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


def test_rows_with_one_id_are_rows_of_their_own(tmp_path: Path) -> None:
    right = truth()[1]
    run = score([row("a", right), row("a", ""), row("b", right)], tmp_path)
    assert {line.id: line.score.output for line in run.programs} == {"a": True, "a#2": False, "b": True}


def test_a_result_that_is_not_the_published_one_is_excluded(tmp_path: Path) -> None:
    run = score([row("a", "", expected="'other'")], tmp_path)
    assert [line.reason for line in run.excluded] == ["its result on this Python is not the published one"]


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

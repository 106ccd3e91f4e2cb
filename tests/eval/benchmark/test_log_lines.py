from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwm_trace.eval.benchmark.rescore import rescore


@pytest.mark.parametrize(
    ("code", "answers", "verdicts"),
    [
        # the order of a set of strings depends on the hash seed: that is no reason to leave its value out
        ("def f(s):\n    return set(s)", ["{'b', 'a', 'c'}", "{'a', 'b'}"], ["right", "wrong"]),
        # what really depends on it is nobody's to predict
        ("def f(s):\n    return list(set(s + 'defghijk'))", ["['a', 'b']"], [None]),
    ],
)
def test_an_unordered_output_counts_and_a_random_one_does_not(
    tmp_path: Path, code: str, answers: list[str], verdicts: list[str | None]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"id": "a", "code": code, "input": "'abc'", "answers": answers}) + "\n")
    run = rescore(path, tmp_path / "logs")
    assert [line.score.answer for line in run.programs] == verdicts, run.excluded

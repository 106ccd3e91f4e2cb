from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cwm_trace.api import evaluate
from cwm_trace.cli.bench import bench
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.drill import compare_program, list_programs, read_one_log
from cwm_trace.eval.benchmark.log import Run
from cwm_trace.eval.benchmark.rescore import rescore
from tests.eval.benchmark.test_rescore import row, truth
from tests.eval.predictors import NoisyPredictor


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("logs")
    results = evaluate(["copy", NoisyPredictor(37)], "smoke", limit=5, baselines=False, output=folder)
    return {run.header.model: run for run in results.runs}


def test_what_is_wrong_comes_first(runs: dict[str, Run]) -> None:
    rows = list_programs(runs["noisy"])
    shares = [row.is_right for row in rows]
    assert shares == sorted(shares)
    assert {row.is_right for row in rows} == {True, False}
    assert rows[0].first_wrong.startswith("frame ")
    wrong = list_programs(runs["noisy"], ["wrong"])
    assert {row.output for row in wrong} <= {"wrong"}
    with pytest.raises(CwmTraceError, match="no outcome 'bad': choose one of wrong, right"):
        list_programs(runs["noisy"], ["bad"])


@pytest.mark.parametrize("model", ["noisy", "copy"])
def test_a_program_of_a_log_is_compared_as_it_was(runs: dict[str, Run], model: str) -> None:
    run = runs[model]
    line = run.programs[2]
    comparison = compare_program(run, line.id.rpartition("/")[2])
    assert comparison.score.frames == line.score.frames
    assert comparison.score.cause == line.score.cause


def test_rows_of_a_file_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    wrong = truth()[1].replace('"y": "3"', '"y": "4"')
    path.write_text(
        "".join(json.dumps(r) + "\n" for r in [row("a", truth()[1]), row("b", wrong), row("c", "?")])
    )
    run = rescore(path, tmp_path / "logs")
    assert [found.id for found in list_programs(run)] == ["c", "b", "a"]
    assert compare_program(run, "b").score.frames == run.programs[1].score.frames


def test_what_is_not_there_is_one_sentence(runs: dict[str, Run], tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="has no program 'x': it has general"):
        compare_program(runs["copy"], "x")
    with pytest.raises(CwmTraceError, match="has samples 0 to 0, not 3"):
        compare_program(runs["copy"], runs["copy"].programs[0].id, 3)
    with pytest.raises(CwmTraceError, match="has several logs, name one of them"):
        read_one_log(runs["copy"].path.parent)


def test_the_command_shows_both(runs: dict[str, Run]) -> None:
    path = str(runs["noisy"].path)
    table = CliRunner().invoke(bench, ["show", path, "--format", "markdown", "--limit", "2"])
    assert "3 more: give --limit" in table.output
    assert table.output.count("| general") == 2
    name = runs["noisy"].programs[0].id
    shown = CliRunner().invoke(bench, ["show", path, name, "--format", "json"])
    assert json.loads(shown.output)["output"] in (True, False)

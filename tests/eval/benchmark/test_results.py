from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwm_trace.api import evaluate
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.contrasts import contrast_places
from cwm_trace.eval.benchmark.curves import axis_curve, calibration_curve, risk_coverage_curve, survival_curve
from cwm_trace.eval.benchmark.results import Results, length_bin
from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.breakdown import count_causes, hazards, rates_by
from cwm_trace.rendering.plots import PLOTS, draw_plots
from tests.eval.predictors import NoisyPredictor


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return evaluate(
        ["copy", "oracle", NoisyPredictor()],
        "smoke",
        modes=["free", "forced"],
        limit=8,
        baselines=False,
        output=tmp_path_factory.mktemp("logs"),
    )


def test_the_headline_keys_are_those_of_the_documentation(results: Results) -> None:
    page = (Path(__file__).parents[3] / "docs" / "benchmark.md").read_text("utf-8")
    for run in results.to_dict()["runs"]:
        assert [name for name in run["metrics"] if f"`{name}`" not in page and "exception" not in name] == []
        assert all(set(found) == {"value", "low", "high", "n", "skill"} for found in run["metrics"].values())
        assert [key for key in run if f"`{key}`" not in page] == []
        assert [key for key in run["provenance"] if f"`{key}`" not in page] == []


def test_copying_has_no_skill_and_the_truth_has_all(results: Results) -> None:
    skills = {
        report.header.model: report.metrics["frame_exact"].skill
        for report in results.reports
        if report.header.mode == "forced"
    }
    noisy = skills["noisy"]
    assert noisy is not None
    assert (skills["copy"], skills["oracle"]) == (0.0, 1.0)
    assert 0.0 < noisy < 1.0


def test_a_model_stands_with_intervals_among_floors_without(results: Results) -> None:
    lines = results.to_markdown().splitlines()
    assert lines[0] == "### general-v1-smoke, mode free"
    assert lines[2] == "|  | noisy | copy | oracle |"
    frames = next(line for line in lines if line.startswith("| frames right |")).split(" | ")
    assert "[" not in frames[2]
    assert "[" in frames[1]
    assert "skill" in frames[1]


def test_the_page_escapes_what_it_shows(results: Results) -> None:
    run = results.runs[0]
    header = run.header.model_copy(update={"model": "<script>x</script>"})
    odd = Results((type(run)(run.path, header, run.programs, run.excluded),))
    page = odd._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;x" in page


def test_a_row_for_each_program(results: Results) -> None:
    rows = results.to_rows()
    assert len(rows) == 3 * 2 * 8
    assert {"task", "model", "mode", "id", "family", "result", "output", "tau", "real_frames"} <= set(rows[0])
    pandas = pytest.importorskip("pandas")
    frame = results.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == len(rows)
    right = frame[(frame.model == "oracle") & (frame["mode"] == "free")]["trace_exact"]
    assert right.all()


def test_bins_of_length() -> None:
    assert [length_bin(frames) for frames in (1, 16, 17, 512, 513)] == [
        "1-16", "1-16", "17-32", "257-512", "513-",
    ]  # fmt: skip


def test_breakdowns_add_up() -> None:
    one = ProgramScore(
        "free", "normal", 3,
        by_type={"int": Rate(1, 2), "str": Rate(1, 1)}, by_depth={"0": Rate(1, 1), "10": Rate(0, 1)},
        cause="value", cause_type="int", failed_kind="line", at_risk={"line": 2},
    )  # fmt: skip
    two = ProgramScore(
        "free",
        "normal",
        3,
        by_type={"int": Rate(2, 2)},
        by_depth={"9": Rate(1, 2)},
        at_risk={"line": 3, "call": 1},
    )
    by_type = rates_by([one, two], "by_type")
    assert {name: (found.value, found.n) for name, found in by_type.items()} == {
        "int": (0.75, 2),
        "str": (1.0, 1),
    }
    assert list(rates_by([one, two], "by_depth")) == ["0", "9", "10"]
    assert rates_by([], "by_type") == {}
    assert count_causes([one, one, two]) == {"value of type int": 2}
    assert hazards([one, two]) == {"call": Rate(0, 1), "line": Rate(1, 5)}


def test_curves_have_points_where_there_is_something_to_see(results: Results) -> None:
    runs = {run.header.model: run for run in results.runs if run.header.mode == "forced"}
    noisy = next(run for name, run in runs.items() if name.startswith("noisy"))
    survival = survival_curve(noisy, 20)
    assert survival[0] == 1.0
    assert survival == sorted(survival, reverse=True)
    assert set(survival_curve(runs["oracle"], 20)) == {1.0}
    assert axis_curve(noisy, "by_type")
    assert calibration_curve(runs["copy"]) == risk_coverage_curve(runs["copy"]) == []
    assert 1 <= len(calibration_curve(noisy)) <= 15
    risk = risk_coverage_curve(noisy)
    assert risk[-1][0] == 1.0
    assert risk[0][1] <= risk[-1][1]  # the wrong ones are the less confident ones


def test_every_figure_is_drawn_and_the_same_each_time(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    noisy = Results(tuple(run for run in results.runs if run.header.model == "noisy"))
    paths = draw_plots(noisy, tmp_path / "a")
    assert {path.stem.split("--")[1] for path in paths} == set(PLOTS)
    again = draw_plots(noisy, tmp_path / "b")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert b"<script" not in paths[0].read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(CwmTraceError, match="cannot write"):
        draw_plots(results, tmp_path / "file" / "x")


def test_contrasts_are_paired_and_name_what_flipped(tmp_path: Path) -> None:
    for name, model in (("a", NoisyPredictor(3)), ("b", NoisyPredictor(11))):
        evaluate(model, "smoke", limit=8, baselines=False, output=tmp_path / name)
    found = contrast_places(tmp_path / "a", [tmp_path / "b", tmp_path / "a"])
    assert [contrast.second.path.parent.name for contrast in found] == ["b", "a"]
    better, same = found
    assert better.differences["frame_exact"].value is not None
    assert better.differences["frame_exact"].value > 0
    assert len(better.programs) == 8
    assert better.left_out == 0
    flips = len(better.won["trace_exact"]) - len(better.lost["trace_exact"])
    rates = [evaluate_rate(run) for run in (better.first, better.second)]
    assert flips == rates[1] - rates[0]
    assert same.differences["frame_exact"].value == 0.0
    assert same.differences["output_accuracy"].p == 1.0
    json.dumps(better.to_dict())
    evaluate(NoisyPredictor(), "counters:smoke", limit=2, baselines=False, output=tmp_path / "d")
    with pytest.raises(CwmTraceError, match="have no programs of one task and mode in common"):
        contrast_places(tmp_path / "a", [tmp_path / "d"])


def evaluate_rate(run: object) -> int:
    return sum(bool(line.score.trace_exact) for line in run.programs)  # type: ignore[attr-defined]

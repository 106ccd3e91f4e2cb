"""A server that refuses some requests costs those programs only; runs with samples resume as others do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.api import evaluate
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.results import Results
from cwm_trace.predict.protocol import RefusedError, Request
from cwm_trace.records import Decoding, Trace
from tests.eval.predictors import NoisyPredictor

WHY = "the server at http://here refused: 400 Bad Request"


class RefusingPredictor(NoisyPredictor):
    """Refuses one request of so many, whichever that is; a batch ends there, as with a real server."""

    def __init__(self, each: int) -> None:
        super().__init__()
        self.each = each
        self.requests = 0

    def predict(self, request: Request) -> Trace:
        self.requests += 1
        if self.requests % self.each == 0:
            raise RefusedError(WHY)
        return super().predict(request)

    def predict_all(self, requests: Sequence[Request]) -> Iterator[tuple[int, Trace]]:
        for index, request in enumerate(requests):
            yield index, self.predict(request)


def run(predictor: Any, folder: Path, **more: Any) -> Results:
    return evaluate(
        predictor, "smoke", limit=20, batch_size=4, baselines=False, output=folder / "logs", **more
    )


def test_one_refusal_in_four_costs_nothing_but_another_run(tmp_path: Path) -> None:
    predictor = RefusingPredictor(4)
    results = run(predictor, tmp_path)
    (report,) = results.reports
    assert not report.is_complete
    assert 0 < report.programs < 20
    assert report.failed == {WHY: 20 - report.programs}
    assert WHY in results.to_markdown()
    for _ in range(9):
        results = run(predictor, tmp_path, resume=True)
        if results.reports[0].is_complete:
            break
    (report,) = results.reports
    assert (report.is_complete, report.programs, report.failed) == (True, 20, {})
    whole = evaluate(NoisyPredictor(), "smoke", limit=20, baselines=False)
    assert report.metrics == whole.reports[0].metrics


def test_a_server_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    predictor = RefusingPredictor(1)
    with pytest.raises(CwmTraceError, match="400 Bad Request; so it answered each of 5 requests"):
        run(predictor, tmp_path)
    assert predictor.requests < 10


class DrawingPredictor(NoisyPredictor):
    """Answers with as much noise as the number of the sample says."""

    @property
    def decoding(self) -> Decoding:
        return Decoding("drawn", model="test/drawn", temperature=1.0)

    def predict(self, request: Request) -> Trace:
        self.every = 100 if request.sample == 2 else 3
        return super().predict(request)


def test_samples_are_predictions_of_one_program(tmp_path: Path) -> None:
    results = run(DrawingPredictor(), tmp_path, samples=3)
    (report,) = results.reports
    assert (report.programs, report.predictions, report.is_complete) == (20, 60, True)
    assert report.metrics["output_accuracy"].n == report.metrics["frame_exact"].n == 20
    single, triple = report.metrics["pass_at_1"].value, report.metrics["pass_at_3"].value
    assert single is not None
    assert triple is not None
    assert 0 < single < triple <= 1
    assert single == report.metrics["output_accuracy"].value
    table = results.to_markdown()
    assert "| pass@3 |" in table
    assert "| predictions | 60 |" in table
    (path,) = (tmp_path / "logs").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:30]) + lines[30][:50])
    again = run(DrawingPredictor(), tmp_path, samples=3, resume=True)
    assert again.reports[0].metrics == report.metrics
    with pytest.raises(CwmTraceError, match="its samples is 3, now 2"):
        run(DrawingPredictor(), tmp_path, samples=2, resume=True)


def test_every_sample_of_a_greedy_model_would_be_the_same() -> None:
    with pytest.raises(CwmTraceError, match="give a temperature above 0"):
        evaluate("mini", "smoke", samples=2)


def test_floors_run_first_and_a_cut_run_has_its_skill(tmp_path: Path) -> None:
    class Leaving(NoisyPredictor):
        def predict(self, request: Request) -> Trace:
            if self.asked == 5:
                raise CwmTraceError("gone")
            return super().predict(request)

    with pytest.raises(CwmTraceError, match="gone"):
        evaluate(Leaving(), "smoke", limit=20, batch_size=1, output=tmp_path)
    from cwm_trace.eval.benchmark.results import read_results

    reports = {report.header.model: report for report in read_results([tmp_path]).reports}
    assert reports["copy"].programs == 20
    assert reports["noisy"].programs == 5
    assert reports["noisy"].metrics["frame_exact"].skill is not None


def test_programs_are_chosen_and_shuffled(tmp_path: Path) -> None:
    some = evaluate("copy", "smoke", baselines=False, limit=3, shuffle_seed=1)
    ids = [line.id for line in some.runs[0].programs]
    again = evaluate("copy", "smoke", baselines=False, limit=3, shuffle_seed=1)
    other = evaluate("copy", "smoke", baselines=False, limit=3, shuffle_seed=2)
    first = evaluate("copy", "smoke", baselines=False, limit=3)
    assert ids == [line.id for line in again.runs[0].programs]
    assert len({run.header.item_hash for each in (some, other, first) for run in each.runs}) == 3
    named = evaluate("copy", "smoke", baselines=False, ids=[ids[1]])
    assert [line.id for line in named.runs[0].programs] == [ids[1]]
    with pytest.raises(CwmTraceError, match="there is no program 'nobody'; there are"):
        evaluate("copy", "smoke", baselines=False, ids=["nobody", ids[0]])


def test_real_executions_side_by_side_are_those_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    code = "def f(x):\n    return x + {}"
    rows = [
        {"id": f"sample_{n}", "code": code.format(n), "input": "1", "output": str(n + 1)} for n in range(4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, three = (
        evaluate("copy", f"cruxeval:{path}", baselines=False, workers=workers) for workers in (1, 3)
    )
    assert one.runs[0].programs == three.runs[0].programs
    assert not one.runs[0].excluded

"""A report's list has every program once, its pages the predictions of the runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cwm_trace.api import evaluate
from cwm_trace.eval.benchmark.results import Results
from cwm_trace.progress import Progress
from cwm_trace.viewer import write_report
from tests.cli.conftest import Cli, cli  # noqa: F401 (a fixture)
from tests.eval.predictors import NoisyPredictor


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("logs")
    return evaluate(["copy", NoisyPredictor(37)], "smoke", limit=4, baselines=False, output=folder)


def test_every_program_has_a_row_and_a_page(results: Results, tmp_path: Path) -> None:
    told: list[Progress] = []
    index = write_report(results, tmp_path / "report", report=told.append)
    page = index.read_text("utf-8")
    links = re.findall(r'href="(programs/\d+\.html)"', page)
    assert len(set(links)) == len(links) == 4
    assert (told[-1].done, told[-1].total) == (4, 4)
    assert all("DecompressionStream" in (index.parent / link).read_text("utf-8") for link in links)
    for run in results.runs:
        for line in run.programs:
            assert line.id in page
    shares = [float(x) for x in re.findall(r'data-value="([\d.]+)"', page)[::2]]
    assert len(shares) == 4
    assert "default-src 'none'" in page
    assert "Floors: copy" in page


def test_the_command_says_what_to_open(results: Results, cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    logs = results.runs[0].path.parent
    ended = cli("bench", "report", str(logs), "--folder", "report")
    assert (ended.returncode, ended.stdout) == (0, "open report/index.html\n")
    assert (tmp_path / "report" / "index.html").exists()

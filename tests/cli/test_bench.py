"""`cwm-trace bench`, as a user runs it: what it prints, being killed, disks that are full, bad input."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.predict.protocol import Predictor
from cwm_trace.predict.registry import find_predictor
from cwm_trace.records import Decoding
from tests.cli.conftest import Cli, Result
from tests.effort import HANGS, rest_in_ci
from tests.eval.predictors import NoisyPredictor

SMALL = ("bench", "--tasks", "smoke", "--limit", "4", "--model", "copy")


def report_of(result: Result) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_one_command_reports_models_and_modes_side_by_side(cli: Cli, tmp_path: Path) -> None:
    result = cli(*SMALL, "--mode", "free,output", "--format", "json")
    report = report_of(result)
    assert report["schema_version"] == 1
    runs = {(run["model"], run["mode"]): run for run in report["runs"]}
    assert {("copy", "free"), ("copy", "output"), ("oracle", "free"), ("oracle", "output")} <= set(runs)
    oracle = runs["oracle", "free"]
    assert oracle["metrics"]["output_accuracy"]["value"] == 1.0
    assert set(oracle["metrics"]["frame_exact"]) == {"value", "low", "high", "n", "skill"}
    assert oracle["programs"] == 4
    assert oracle["results"]["complete"] == 4
    provenance = oracle["provenance"]
    for name in ("item_hash", "profile_hash", "prompt_hash", "prompts", "python", "batch_size", "max_frames"):
        assert provenance[name]
    logs = [f"bench.logs/general-v1-smoke--{mode}--copy.jsonl" for mode in ("free", "output")]
    again = report_of(cli("bench", "report", *logs, "--format", "json"))
    assert [run["metrics"]["frame_exact"]["value"] for run in again["runs"]] == [
        runs["copy", mode]["metrics"]["frame_exact"]["value"] for mode in ("free", "output")
    ]
    table = cli("bench", "report", *logs, columns=200).stdout
    assert "general-v1-smoke, mode free" in table
    assert "general-v1-smoke, mode output" in table
    assert "±0" not in table
    markdown = cli("bench", "report", logs[1], "--format", "markdown").stdout
    assert markdown.startswith("### general-v1-smoke, mode output\n\n|  | copy |\n")
    page = cli("bench", "report", logs[1], "--format", "html").stdout
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "https://matplotlib.org", ""
    ).replace("http://creativecommons.org", "")


def test_tasks_are_listed(cli: Cli) -> None:
    names = {row["name"] for row in json.loads(cli("bench", "ls", "--json").stdout)}
    assert {
        "smoke",
        "core",
        "full",
        "general-v1",
        "cruxeval",
        "humaneval",
        "file",
        "folder",
        "pytest",
    } <= names
    assert "cruxeval[:PATH]" in cli("bench", "ls").stdout


def test_two_runs_are_compared_on_what_both_have(cli: Cli, tmp_path: Path) -> None:
    cli(*SMALL, "-o", "a", "--no-baselines")
    cli(*SMALL, "-o", "b", "--no-baselines", "--model", "oracle")
    cli("bench", "--tasks", "smoke", "--limit", "3", "--model", "oracle", "-o", "c", "--no-baselines")
    log = "b/general-v1-smoke--free--oracle.jsonl"
    (found,) = json.loads(cli("bench", "compare", "a", log, "--json").stdout)
    assert (found["a"], found["b"], found["programs"]) == ("copy", "oracle", 4)
    difference = found["differences"]["frame_exact"]
    assert difference["value"] > 0.5
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert len(found["won"]["trace_exact"]) == 4
    assert found["lost"]["trace_exact"] == []
    text = cli("bench", "compare", "a", "c", "--flips", "1").stdout
    assert "B minus A on 3 programs" in text
    assert "1 programs are in one of the two only, and left out" in text
    assert "whole trace right, won by B: 3: " in text
    assert " and 2 more" in text
    assert "several models, copy, oracle" in cli("bench", "compare", "a", "b").stderr


def test_finished_generations_are_scored(cli: Cli, tmp_path: Path) -> None:
    row = {"id": "a", "code": "def f(x):\n    return x", "input": "1", "expected": "1", "generation": "?"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (run,) = report_of(cli("bench", "rescore", "rows.jsonl", "--format", "json"))["runs"]
    assert (run["mode"], run["metrics"]["output_accuracy"]["value"]) == ("output", 0.0)
    assert any(entry["low"] == 88.0 for entry in run["published"])
    assert "not measured here" in cli("bench", "report", "bench.logs", columns=200).stdout


def test_plots_are_drawn(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cli(*SMALL, "--no-baselines")
    result = cli("bench", "report", "bench.logs", "--plots", "plots", "--format", "json")
    assert result.returncode == 0, result.stderr
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {f"general-v1-smoke--{name}.svg" for name in ("survival", "length", "type", "depth")} <= drawn
    assert "general-v1-smoke--calibration.svg" not in drawn  # a baseline has no confidence


def kill_and_resume(cli: Cli, folder: Path, kills: int) -> None:
    task = ["--tasks=smoke", "--limit=12", "--model=copy,frequent", "--mode=free,forced", "--no-baselines"]
    whole = report_of(cli("bench", *task, "-o", "whole", "--format", "json"))
    logs = len(list((folder / "whole").iterdir()))
    draw = random.Random(kills)
    moments = sorted(draw.sample(range(logs * 13), kills))
    command = [sys.executable, "-m", "cwm_trace", "bench", *task, "-o", "killed", "--resume"]
    for moment in moments:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and lines_in(folder / "killed") < moment:
            time.sleep(0.001)
        process.kill()
        process.wait(timeout=HANGS)
    assert lines_in(folder / "killed") < logs * 13
    resumed = report_of(cli("bench", *task, "-o", "killed", "--resume", "--format", "json"))
    assert resumed == whole


def lines_in(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl")) if folder.exists() else 0


@pytest.mark.parametrize("kills", [*rest_in_ci([1, 3]), pytest.param(10, marks=pytest.mark.slow)])
def test_killed_and_resumed_it_reports_the_same(cli: Cli, tmp_path: Path, kills: int) -> None:
    kill_and_resume(cli, tmp_path, kills)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_sentence_and_the_log_resumes(cli: Cli, tmp_path: Path, small_disk: Path) -> None:
    task = ("bench", "--tasks", "smoke", "--limit", "10", "--model", "copy", "--no-baselines")
    result = cli(*task, "-o", "disk/logs")
    assert result.returncode == 2
    assert result.stderr.startswith("cwm-trace: cannot write disk/logs/")
    assert "No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1
    shutil.copytree(small_disk / "logs", tmp_path / "logs")
    assert 1 < lines_in(tmp_path / "logs") < 11
    resumed = report_of(cli(*task, "-o", "logs", "--resume", "--format", "json"))
    assert resumed == report_of(cli(*task, "-o", "whole", "--format", "json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench"], "there is no task to run"),
        (["bench", "--tasks", "dream", "--model", "copy"], "there is no task 'dream'"),
        (["bench", "--tasks", "smoke", "--model", "dream"], "there is no model 'dream'"),
        (["bench", "--tasks", "smoke", "--mode", "dream"], "there is no mode 'dream'"),
        (["bench", "--tasks", "smoke", "--limit", "0"], "limit"),
        (["bench", "--tasks", "smoke", "--format", "dream"], "format"),
        (["bench", "--tasks", "cruxeval:empty.jsonl"], "has no programs"),
        (["bench", "--tasks", "smoke", "-o", "file"], "cannot write into file: it is no folder"),
        (
            ["bench", "--tasks", "smoke", "--limit", "1", "--cache", "file"],
            "cannot write into file: it is no folder",
        ),
        (["bench", "report"], "Missing argument"),
        (["bench", "report", "missing"], "cannot read missing"),
        (["bench", "report", "folder"], "folder has no logs of a benchmark"),
        (["bench", "report", "empty.jsonl"], "empty.jsonl is empty"),
        (["bench", "report", "file"], "is damaged: line 1"),
        (["bench", "compare", "folder", "folder"], "has no logs"),
        (["bench", "compare", "folder"], "Missing argument"),
        (["bench", "rescore", "missing"], "cannot read missing"),
        (["bench", "rescore", "empty.jsonl"], "is empty"),
        (["bench", "rescore", "file", "--profile", "dream"], "no format profile 'dream'"),
    ],
)
def test_bad_input_is_one_sentence(cli: Cli, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "folder").mkdir()
    result = cli(*arguments)
    assert result.returncode == 2, result.stdout
    assert result.stderr.startswith("cwm-trace: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_log_of_another_run_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    cli(*SMALL, "--no-baselines")
    assert "add --resume to go on" in cli(*SMALL, "--no-baselines").stderr
    other = cli(*SMALL, "--no-baselines", "--resume", "--max-frames", "7")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "is the log of another run: its max_frames is 1000, now 7" in other.stderr


def test_without_numpy_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('none')\n")
    check = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'numpy' else find(name, *rest)\n"
        "sys.argv = ['cwm-trace', 'bench', '--tasks', 'smoke']\n"
        "from cwm_trace.cli.main import main\nmain()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert result.returncode == 2
    assert "pip install 'cwm-trace[report]'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        ((), ["cwm-mini+grammar"]),
        (("--grammar", "none,frame", "--grammar", "flow"), ["cwm-mini", "cwm-mini+grammar", "cwm-mini+flow"]),
        (("--unconstrained",), ["cwm-mini"]),
    ],
)
def test_levels_of_the_grammar_stand_side_by_side(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], labels: list[str]
) -> None:
    def find(name: str, decoding: Decoding = Decoding(), *, grammar: str = "frame", **more: Any) -> Predictor:
        if name == "mini":
            level = decoding.grammar or grammar
            return NoisyPredictor(decoding=replace(decoding, model="cwm-mini", grammar=level))
        return find_predictor(name, decoding, grammar=grammar, **more)

    monkeypatch.setattr("cwm_trace.api.find_predictor", find)
    report = report_of(cli(*SMALL[:-1], "mini,copy", *arguments, "--format", "json", "--no-baselines"))
    assert {run["model"] for run in report["runs"]} == {*labels, "copy"}


def test_a_level_that_there_is_not_is_refused(cli: Cli) -> None:
    result = cli(*SMALL, "--grammar", "frame,strict")
    assert result.returncode == 2
    assert result.stderr.strip().endswith("'strict' is none of none, frame, flow.")

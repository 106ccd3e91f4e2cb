"""`show`, `convert`, `predict`, `compare`, `demo` and help, as a user runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cwm_trace import read_trace, trace_execution, write_trace
from cwm_trace.cli.commands import COMMANDS
from cwm_trace.cli.main import cli as group
from tests.cli.conftest import Cli, run_shell
from tests.effort import HANGS

PROGRAM = "def f(n):\n    x = '[red]'\n    for i in range(n):\n        x += str(i)\n    return x\n"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    (folder / "program.py").write_text(PROGRAM)
    assert run_shell(folder, "run", "-q", "--call", "f(2)", "program.py").returncode == 0
    return folder


@pytest.fixture
def recorded(recording: Path, tmp_path: Path) -> Path:
    shutil.copytree(recording, tmp_path, dirs_exist_ok=True)
    return tmp_path / "program.trace.jsonl"


def test_show(cli: Cli, recorded: Path) -> None:
    text = cli("show", recorded.name).stdout
    assert "x='[red]0'" in text
    assert "12 frames of program.py, entry main: returned" in text


def test_show_as_json(cli: Cli, recorded: Path) -> None:
    shown = json.loads(cli("show", recorded.name, "--json", "--first", "4", "--count", "2").stdout)
    assert [frame["index"] for frame in shown["frames"]] == [4, 5]
    assert shown["frames"][1]["state"] == {"n": "2", "x": "'[red]'", "i": "0"}
    assert shown["frames"][1]["changed"] == ["i"]
    assert shown["value"] == "'[red]01'"


@pytest.mark.parametrize("profile", ["cwm", "kth"])
def test_convert_there_and_back(cli: Cli, recorded: Path, tmp_path: Path, profile: str) -> None:
    assert cli("convert", recorded.name, "t.txt", "--profile", profile).returncode == 0
    back = cli("convert", "t.txt", "back.jsonl", "--profile", profile, "--json")
    assert json.loads(back.stdout) == {"target": "back.jsonl", "frames": 12, "problems": 0}
    again = cli("convert", "back.jsonl", "-", "--profile", profile)
    assert again.stdout == (tmp_path / "t.txt").read_text()


def test_convert_says_when_the_text_is_ambiguous(cli: Cli, tmp_path: Path) -> None:
    trace = trace_execution("x = '<|frame_sep|>'\ny = 1\n")
    write_trace(trace, tmp_path / "program.trace.jsonl")
    assert "ambiguous" in cli("convert", "program.trace.jsonl", "t.txt").stderr


def test_predict_and_compare(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    history = ["--call", "f(2)", "--mode", "forced", "--history", recorded.name]
    assert cli("predict", "program.py", *history, "--model", "copy", "-o", "copy.jsonl").returncode == 0
    assert cli("predict", "program.py", *history, "--model", "oracle", "-o", "oracle.jsonl").returncode == 0
    assert read_trace(tmp_path / "copy.jsonl").guess.mode == "forced"
    numbers = json.loads(cli("compare", recorded.name, "oracle.jsonl", "--json").stdout)
    assert numbers["frame_exact"] == {"value": 1.0, "hits": 11, "total": 11}
    assert numbers["first_divergence"] is None
    table = cli("compare", recorded.name, "copy.jsonl").stdout
    assert "✗◀" in table
    assert "first wrong" in table


def test_predict_as_json(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    predicted = json.loads(cli("predict", "program.py", "--call", "f(2)", "--model", "copy", "--json").stdout)
    assert predicted["mode"] == "free"
    assert predicted["given"] == 1


def test_demo(cli: Cli) -> None:
    result = cli("demo", "--model", "copy")
    assert result.returncode == 0
    assert "really" in result.stdout
    assert "✗◀" in result.stdout
    numbers = json.loads(cli("demo", "--json", "--model", "oracle").stdout)
    assert numbers["frame_exact"]["value"] == 1


def test_a_reader_that_goes_away(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cwm_trace show {recorded.name} | head -c 1"
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert result.stderr == ""


@pytest.mark.parametrize("command", ["run", "show", "convert", "predict", "compare", "demo"])
def test_help_and_json_everywhere(cli: Cli, command: str) -> None:
    text = cli(command, "--help").stdout
    assert "Usage: cwm-trace" in text
    assert "--json" in text


def test_the_list_of_commands_says_what_their_own_help_says() -> None:
    context = click.Context(group)
    for name, about in COMMANDS.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert " ".join((command.help or "").split()).startswith(about)
    assert group.get_command(context, "nonsense") is None


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout.startswith("cwm-trace, version 0.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--help", "Usage: cwm-trace"),
        ("show program.trace.jsonl", "12 frames of program.py"),
        ("convert program.trace.jsonl -", "<|frame_sep|>"),
        ("predict program.py --call f(2) --model copy", "program.py"),
        ("compare program.trace.jsonl program.trace.jsonl", "frame"),
        ("demo --model copy", "Next: cwm-trace run"),
        ("bench ls", "smoke"),
        ("dataset build --family counters --count 2 --workers 1 -o data", "rows of 2 programs"),
        ("model info facebook/cwm", "gated"),
        ("train --help", "Train a model by a recipe"),
    ],
)
def test_each_command_as_a_user_runs_it(shell: Cli, recorded: Path, arguments: str, words: str) -> None:
    """One process for each; `run` has its own file."""
    result = shell(*arguments.split())
    assert (result.returncode, words in result.stdout) == (0, True), result
    assert all(line.startswith("cwm-trace: ") for line in result.stderr.splitlines())

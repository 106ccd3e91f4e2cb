"""`cwm-trace run` leaves the program alone and records it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace import Event, Outcome, Trace, read_trace
from cwm_trace.cli.run import _report
from cwm_trace.records import Program
from cwm_trace.tracer.session import Ending
from tests.cli.conftest import Cli
from tests.effort import HANGS

PROGRAM = """\
import sys

def double(x):
    return 2 * x

print(double(4), sys.argv[1:])
if "fail" in sys.argv:
    double(None)
if "exit" in sys.argv:
    sys.exit(3)
if "message" in sys.argv:
    sys.exit("a message")
if "read" in sys.argv:
    print(sys.stdin.read().upper())
"""


def under_python(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments", [[], ["fail"], ["exit"], ["message"], ["read"], ["--json", "-m", "-o", "x", "--", "-c"]]
)
def test_streams_and_exit_code_are_the_programs_own(shell: Cli, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    python = under_python(tmp_path, "program.py", *arguments, stdin="some text")
    traced = shell("run", "-q", "program.py", *arguments, stdin="some text")
    assert traced.stdout == python.stdout
    own = "".join(line for line in traced.stderr.splitlines(True) if line.startswith("cwm-trace: "))
    assert traced.stderr == own + python.stderr
    assert own.count("\n") == ("-o" in arguments)  # options of ours that stand behind the program are noticed
    assert traced.returncode == python.returncode
    assert read_trace(tmp_path / "program.trace.jsonl").run.exit_code == python.returncode


@pytest.mark.parametrize(
    "command",
    [
        ["json.tool", "--sort-keys", "data.json"],
        ["json.tool", "missing.json"],
        ["calendar", "2024", "2"],
        ["tokenize", "program.py"],
        ["ast", "program.py"],
    ],
)
def test_standard_library_commands(shell: Cli, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "data.json").write_text('{"b": [1, 2, null], "a": "é"}')
    (tmp_path / "program.py").write_text(PROGRAM)
    python = under_python(tmp_path, "-m", *command)
    traced = shell("run", "-q", "-m", *command)
    assert traced.stdout == python.stdout
    assert traced.returncode == python.returncode
    assert len(read_trace(tmp_path / f"{command[0]}.trace.jsonl").frames) > 3


def test_source_text(shell: Cli, tmp_path: Path) -> None:
    traced = shell("run", "-c", "import sys; print(sys.argv); x = 1 / 0", "a", "-m")
    python = under_python(tmp_path, "-c", "import sys; print(sys.argv); x = 1 / 0", "a", "-m")
    assert traced.stdout == python.stdout == "['-c', 'a', '-m']\n"
    assert traced.returncode == python.returncode == 1
    notice, _, rest = traced.stderr.partition("\n")
    assert notice.startswith("cwm-trace: -m behind the code after -c is its argument")
    assert rest.startswith(python.stderr)
    assert read_trace(tmp_path / "code.trace.jsonl").outcome is Outcome.RAISED


def test_one_call(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f(x):\n    return x + 1\n")
    result = shell("run", "--call", "f(3)", "-o", "t.jsonl.gz", "program.py")
    assert result.stderr == "cwm-trace: 6 frames (returned) in t.jsonl.gz\n"
    trace = read_trace(tmp_path / "t.jsonl.gz")
    assert trace.entry == "main"
    assert trace.value is not None
    assert trace.value.text == "4"


def test_one_function(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    shell("run", "--entry", "double", "program.py")
    trace = read_trace(tmp_path / "program.trace.jsonl")
    assert [frame.event for frame in trace.frames] == [Event.CALL, Event.LINE, Event.RETURN]


def test_the_summary_is_the_last_line(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    result = shell("run", "--json", "--max-frames", "5", "program.py", "exit")
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary == {
        "trace": "program.trace.jsonl",
        "frames": 5,
        "outcome": "frame-limit",
        "exit_code": 3,
        "skipped": 0,
        "recorder": read_trace(tmp_path / "program.trace.jsonl").run.recorder,
        "warnings": [],
        "bytes": (tmp_path / "program.trace.jsonl").stat().st_size,
    }
    assert result.returncode == 3


def test_pickling_and_dataclasses_find_their_module(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "from __future__ import annotations\n"
        "import pickle, dataclasses\n"
        "@dataclasses.dataclass\n"
        "class A:\n    x: int = 1\n"
        "def f():\n    return pickle.loads(pickle.dumps(A())) == A()\n"
        "print(f())\n"
    )
    assert shell("run", "-q", "program.py").stdout == "True\n"
    assert shell("run", "-q", "--call", "f()", "program.py").returncode == 0


def test_ctrl_c_leaves_a_whole_file_and_dies_by_the_signal(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(
        "import time\ntry:\n    print('ready', flush=True)\n    while True:\n        time.sleep(0.01)\n"
        "finally:\n    print('cleaned up')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "cwm_trace", "run", "loop.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=HANGS)
    assert output == "cleaned up\n"
    assert "KeyboardInterrupt\ncwm-trace: " in errors
    assert "session.py" not in errors
    assert process.returncode == -signal.SIGINT
    trace = read_trace(tmp_path / "loop.trace.jsonl")
    assert (trace.outcome, trace.run.exit_code) == (Outcome.KILLED, 130)


def test_ctrl_c_while_a_model_predicts_ends_both_processes_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("x = 1\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(HANGS)
        model = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "cwm_trace", "run", "-q", "--predict", "--model", model, "p.py"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        connection, _ = silent.accept()  # the other process asks, and gets no answer
        with connection:
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=HANGS)
    assert (process.returncode, errors.strip()) == (130, "")
    assert read_trace(tmp_path / "p.trace.jsonl").outcome is Outcome.RETURNED


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["p.py", "-o", "x", "--call=f(1)"], "-o, --call behind p.py"),
        (["-c", "x = 1", "--redact", "y"], "--redact behind the code after -c"),
        (["-m", "p", "-q"], "-q behind p"),
        (["-qo", "t.jsonl", "-m", "p", "-q"], "-q behind p"),
        (["-mp", "-q"], "-q behind p"),
        (["-ot.jsonl", "-m", "p", "-x"], ""),
        (["p.py", "--", "-o", "x"], ""),
        (["--", "p.py", "-o", "x"], ""),
        (["-q", "p.py", "--other", "-x", "o"], ""),
    ],
)
def test_options_of_ours_behind_the_program_are_said(
    shell: Cli, tmp_path: Path, arguments: list[str], names: str
) -> None:
    (tmp_path / "p.py").write_text("import sys\nprint(sys.argv[1:])\n")
    ended = shell("run", *arguments)
    lines = [line for line in ended.stderr.splitlines() if "options come before" in line]
    assert len(lines) == bool(names)
    assert all(names in line for line in lines)
    program = next((name for name in ("p.py", "p", "-mp") if name in arguments), None)
    if program is not None:
        after = arguments[arguments.index(program) + 1 :]
        assert ended.stdout == f"{after}\n"


def test_a_long_recording_in_python_says_that_it_need_not_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cwm_trace.tracer.extension.IS_BUILT", False)
    said = []
    for frames in (10, 10_000):
        _report(Ending(Trace(Program()), frames, 0), "t.jsonl", 0, quiet=False, as_json=False)
        said.append("the compiled recorder is not part of this" in capsys.readouterr().err)
    assert said == [False, True]


def test_a_large_trace_names_the_options_that_help(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("x = 'a' * 5_000_000\ny = x + 'b'\nz = 1\n")
    error = shell("run", "p.py").stderr
    assert "the trace has 10 MB: --max-value-chars" in error
    for option in ("--entry", "--exclude", "--max-depth", "--max-frames", "--max-bytes"):
        assert option in error
    assert "MB" not in shell("run", "--max-value-chars", "100", "p.py").stderr


@pytest.mark.parametrize("how", [[], ["--sandbox"], ["--max-value-chars", "12"]])
def test_secrets_are_not_written(shell: Cli, tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "p.py").write_text(
        "import os, sys\npassword = 'hunt' + 'er2-zebra'\nurl = f'http://u:{password}@h'\n"
        "print(len(url), flush=True)\nif sys.argv[1:] == ['leave']:\n    os._exit(0)\n"
    )
    for arguments in (["--token", "hunter2-zebra"], ["leave"]):
        ended = shell("run", *how, "--redact", "password", "--redact", "token", "p.py", *arguments)
        text = (tmp_path / "p.trace.jsonl").read_text()
        assert ended.stdout == "24\n"
        assert "hunter" not in text
        assert "<redacted>" in text
        assert read_trace(tmp_path / "p.trace.jsonl").capture.redacted == ("password", "token")
    bad = shell("run", "--redact", "[", "p.py")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("cwm-trace: --redact '[' is not a regular expression")


@pytest.mark.parametrize("how", [[], ["--sandbox"]])
def test_objects_are_expanded_on_request(shell: Cli, tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "p.py").write_text(
        "class Cart:\n    def __init__(self):\n        self.n = 1\nc = Cart()\nx = 2\n"
    )
    shell("run", *how, "--expand-objects", "1", "p.py")
    trace = read_trace(tmp_path / "p.trace.jsonl")
    assert trace.capture.expand_objects == 1
    assert "Cart(n=1)" in [slot.text for frame in trace.frames for slot in frame.changed.values() if slot]


def test_timeout(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text("import time\nwhile True:\n    time.sleep(0.001)\n")
    result = shell("run", "--timeout", "0.3", "loop.py")
    assert result.returncode == 124
    assert result.stderr.endswith("cwm-trace: the program ran longer than 0.3 seconds\n")
    assert read_trace(tmp_path / "loop.trace.jsonl").outcome is Outcome.TIMED_OUT


def test_a_full_disk_leaves_the_program_alone(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    result = shell("run", "-o", "/dev/full", "program.py", "exit")
    assert result.returncode == 3
    assert result.stdout == "8 ['exit']\n"
    assert "recording ended early: /dev/full: No space left on device" in result.stderr


def test_killed_in_the_middle(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import os\nx = 1\ny = [x]\nos.kill(os.getpid(), 9)\n")
    process = subprocess.run(
        [sys.executable, "-m", "cwm_trace", "run", "program.py"], cwd=tmp_path, timeout=HANGS, check=False
    )
    assert process.returncode == -9
    trace = read_trace(tmp_path / "program.trace.jsonl")
    assert trace.outcome is Outcome.INCOMPLETE
    assert trace.frames[-1].source == "os.kill(os.getpid(), 9)"


def test_a_program_that_uses_click_finds_no_context_of_ours(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import click\nprint(click.get_current_context(silent=True))\n"
        "@click.command()\n@click.option('--name')\ndef hello(name):\n    click.echo(name)\nhello()\n"
    )
    assert shell("run", "-q", "program.py", "--name", "x").stdout == "None\nx\n"


def test_a_pipe_whose_reader_goes_away_leaves_the_program_alone(tmp_path: Path) -> None:
    wait = "import os, time\nwhile not os.path.exists('gone'):\n    time.sleep(0.01)\n"
    (tmp_path / "program.py").write_text(wait + PROGRAM)
    os.mkfifo(tmp_path / "pipe")
    reader = "(head -c 10 pipe > /dev/null; touch gone)"
    command = f"{reader} & {sys.executable} -m cwm_trace run -o pipe program.py exit"
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert result.returncode == 3
    assert result.stdout == "8 ['exit']\n"
    assert "recording ended early: pipe: Broken pipe" in result.stderr


def test_a_prediction_beside_what_happened(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import os, sys\nos.chdir('/')\nprint('mine')\nsys.exit(3)\n")
    ended = shell("run", "-q", "--predict", "--model", "copy", "p.py")
    assert (ended.returncode, ended.stdout) == (3, "mine\n")
    assert "first wrong    frame 5" in ended.stderr
    assert "✗◀" in ended.stderr
    assert not list(tmp_path.glob("*.html"))


def test_a_prediction_as_a_page(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import os\nos.chdir('/')\n")
    ended = shell("run", "-q", "--predict", "--view", "--model", "copy", "p.py")
    assert ended.returncode == 0
    assert "step through both: " in ended.stderr
    assert (tmp_path / "p.html").read_text("utf-8").startswith("<!doctype html>")
    alone = shell("run", "--view", "p.py")
    assert (alone.returncode, alone.stderr.count("\n")) == (2, 1)

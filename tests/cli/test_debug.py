"""`cwm-trace debug`."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace import trace_execution, write_trace
from tests.cli.conftest import Cli
from tests.debug.programs import NESTED
from tests.effort import HANGS


@pytest.fixture
def trace(tmp_path: Path) -> str:
    (tmp_path / "p.py").write_text(NESTED)
    write_trace(trace_execution(NESTED, call="total([1, 2])"), tmp_path / "t.jsonl")
    return "t.jsonl"


def test_a_script_is_shown_with_its_answers(cli: Cli, trace: str, tmp_path: Path) -> None:
    (tmp_path / "steps").write_text(
        "# a walk\nbreak 14\n\ncontinue\np t + x\nrcontinue\nquit\nnothing more\n"
    )
    result = cli("debug", "--trace", trace, "--real", "--script", "steps")
    assert (result.returncode, result.stderr) == (0, "")
    assert "(real 0) break 14\nstop 1: line 14\n" in result.stdout
    assert "(real 5) p t + x\n1\n(real 5) rcontinue\n" in result.stdout
    assert result.stdout.rstrip().endswith("quit")


def test_a_script_that_cannot_be_said_ends_in_a_sentence(cli: Cli, trace: str) -> None:
    result = cli("debug", "--trace", trace, "--real", "--script", "-", stdin="step\nstpe\n")
    assert result.returncode == 2
    assert result.stderr == "cwm-trace: line 2 of -: there is no verb 'stpe': did you mean step?\n"


def test_a_line_of_json_for_every_line(cli: Cli, trace: str) -> None:
    said = 'step\n{"say": "next"}\n\nwrong\n{"say": 3}\n{"no": 1}\np xs\nquit\nstep\n'
    result = cli("debug", "--trace", trace, "--model", "copy", "--json", stdin=said)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["ok"] for line in lines] == [True, True, True, False, False, False, False, True]
    assert lines[0]["stopped"][0]["reason"] == "entry"
    assert [each["track"] for each in lines[1]["stopped"]] == ["real", "predicted"]
    assert "no verb 'wrong'" in lines[3]["error"]
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "nothing to debug: give a FILE"),
        (["none.py"], "cannot read none.py"),
        (["--trace", "none.jsonl"], "cannot read none.jsonl"),
        (["p.py", "--model", "nobody"], "no model 'nobody'"),
        (["p.py", "--script", "none"], "cannot read none"),
        (["--trace", "t.jsonl", "--predicted"], "give one of them"),
        (["p.py", "--json", "--script", "x"], "give it the script there"),
        (["other.py", "--trace", "t.jsonl", "--real"], "of another program"),
    ],
)
def test_bad_input_is_a_sentence(
    cli: Cli, trace: str, tmp_path: Path, arguments: list[str], why: str
) -> None:
    (tmp_path / "other.py").write_text("x = 1\n")
    result = cli("debug", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("cwm-trace: ")
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def test_somebody_types_and_interrupts(trace: str, tmp_path: Path) -> None:
    keyboard, screen = pty.openpty()
    command = [sys.executable, "-m", "cwm_trace", "debug", "--trace", trace, "--model", "copy"]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=screen, stdout=screen, stderr=screen)
    os.close(screen)
    seen = b""

    def wait_for(text: bytes, *, interrupting: bool = False) -> None:
        nonlocal seen
        while text not in seen:
            if not interrupting or select.select([keyboard], [], [], 1)[0]:
                seen += os.read(keyboard, 4096)
            else:  # again: readline does not hear what comes just before it waits for a key
                process.send_signal(signal.SIGINT)
        seen = seen.partition(text)[2]

    wait_for(b"(real 0 | predicted 0) ")
    os.write(keyboard, b"step\n")
    wait_for(b"(real 1 | predicted 1) ")
    os.write(keyboard, b"\n")
    wait_for(b"(real 2 | predicted 2) ")
    os.write(keyboard, b"wat\n")
    wait_for(b"*** there is no verb 'wat'")
    wait_for(b"(real 2 | predicted 2) ")
    process.send_signal(signal.SIGINT)
    wait_for(b"quit ends the session", interrupting=True)
    wait_for(b"(real 2 | predicted 2) ")
    os.write(keyboard, b"quit\n")
    assert process.wait(HANGS) == 0
    os.close(keyboard)

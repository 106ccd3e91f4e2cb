"""Recording tests: a trace each, or part of one through the fixture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace import Outcome, read_trace
from cwm_trace.pytest_plugin import trace_name
from tests.effort import HANGS

TESTS = """
import unittest
import pytest

def increment(x):
    return x + 1

def test_right():
    assert increment(1) == 2

@pytest.mark.parametrize("text", ["a/b", "c"])
def test_each(text):
    assert increment(len(text))

def test_wrong():
    assert increment(1) == 3

class TestCase(unittest.TestCase):
    def test_method(self):
        self.assertEqual(increment(2), 3)

def test_fixture(cwm_trace):
    with cwm_trace() as recording:
        increment(4)
    assert recording.trace.value.text == "5"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def execute(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )


def test_one_trace_for_each_test(folder: Path) -> None:
    result = execute(folder, "-m", "cwm_trace", "run", "--per-test", "-o", "traces", "-m", "pytest", "-q")
    assert "1 failed, 5 passed" in result.stdout
    assert result.returncode == 1
    traces = {path.name: read_trace(path) for path in (folder / "traces").iterdir()}
    assert set(traces) == {
        "test_it.py-TestCase-test_method.trace.jsonl",
        "test_it.py-test_each-a-b-4344f159.trace.jsonl",
        "test_it.py-test_each-c.trace.jsonl",
        "test_it.py-test_fixture.trace.jsonl",
        "test_it.py-test_right.trace.jsonl",
        "test_it.py-test_wrong.trace.jsonl",
    }
    right = traces["test_it.py-test_right.trace.jsonl"]
    assert [frame.source.strip() for frame in right.frames][:3] == [
        "def test_right():",
        "assert increment(1) == 2",
        "def increment(x):",
    ]
    assert traces["test_it.py-test_wrong.trace.jsonl"].outcome is Outcome.RAISED


def test_a_whole_pytest_run(folder: Path) -> None:
    result = execute(folder, "-m", "cwm_trace", "run", "-m", "pytest", "-q")
    assert "1 failed, 5 passed" in result.stdout
    assert result.returncode == 1
    trace = read_trace(folder / "pytest.trace.jsonl")
    assert "    return x + 1" in {frame.source for frame in trace.frames}


@pytest.mark.parametrize("of", ["run", "pytest"])
def test_secrets_of_tests_are_not_written(tmp_path: Path, of: str) -> None:
    (tmp_path / "test_it.py").write_text(
        "def login(password):\n    return len(password)\ndef test_login(cwm_trace):\n"
        "    assert login('hunter2' + '-zebra') == 13\n"
        "    with cwm_trace(redact=['password'], expand_objects=1) as recording:\n"
        "        login('hunter2' + '-zebra')\n    assert 'zebra' not in str(recording.trace.frames)\n"
    )
    if of == "run":
        execute(
            tmp_path,
            "-m",
            "cwm_trace",
            "run",
            "--per-test",
            "--redact",
            "password",
            "-o",
            "t",
            "-m",
            "pytest",
        )
    else:
        execute(tmp_path, "-m", "pytest", "-p", "cwm_trace", "--cwm-trace=t", "--cwm-trace-redact=password")
    (path,) = (tmp_path / "t").iterdir()
    assert "hunter2-zebra" not in path.read_text()
    trace = read_trace(path)
    assert trace.outcome is Outcome.RETURNED
    assert trace.capture.redacted == ("password",)
    assert "<redacted>" in path.read_text()


def test_without_the_option_nothing_happens(folder: Path) -> None:
    result = execute(folder, "-m", "pytest", "-q", "-k", "right")
    assert result.returncode == 0
    assert not list(folder.rglob("*.trace.jsonl"))


def test_names_of_files_are_file_names() -> None:
    assert trace_name("tests/a.py::test_b[x/y z]") == "tests-a.py-test_b-x-y-z-c980e1ed.trace.jsonl"
    long = trace_name("t.py::test[" + "x" * 300 + "]")
    assert len(long) < 160
    assert long != trace_name("t.py::test[" + "x" * 301 + "]")

"""The user's own programs and tests are recorded in a process of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.own_process import record_own, record_tests
from cwm_trace.records import Limits, Outcome
from cwm_trace.tracer.supervision import SandboxError


def test_a_script_runs_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "p.py"
    path.write_text(
        "import os, sys\n"
        "print(sys.argv[1:], sys.stdin.read(), os.environ['PYTHONHASHSEED'])\n"
        "raise KeyError('x')\n"
    )
    done = record_own(str(path), arguments=["a", "b"], hash_seed="7")
    assert (done.trace.outcome, done.error) == (Outcome.RAISED, "KeyError: 'x'")
    assert done.output == "['a', 'b']  7\n"
    assert done.trace.frames


def test_a_call_within_limits(tmp_path: Path) -> None:
    path = tmp_path / "p.py"
    path.write_text("def f(n):\n    for i in range(n):\n        pass\n    g()\n")
    done = record_own(str(path), "f(100)", limits=Limits(max_frames=5))
    assert (len(done.trace.frames), done.trace.outcome) == (5, Outcome.FRAME_LIMIT)
    assert done.error == "NameError: name 'g' is not defined"


@pytest.mark.parametrize(
    ("text", "call", "said"),
    [
        ("x = (\n", "", "cannot be compiled"),
        ("x = 1\n", "f(", "is not an expression"),
        (None, "", "cannot read"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path: Path, text: str | None, call: str, said: str) -> None:
    path = tmp_path / "p.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CwmTraceError, match=said):
        record_own(str(path), call)


def leave(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Have `act` do what the process would, in the folder that it is given."""

    def run(command: Sequence[str], *_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        act(Path(command[3]))
        return subprocess.CompletedProcess(command, -9, b"", b"Fatal Python error: out of luck\n")

    monkeypatch.setattr("cwm_trace.own_process.subprocess.run", run)


def test_a_process_that_dies_at_once_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    leave(monkeypatch, lambda _: None)
    with pytest.raises(CwmTraceError, match=r"p\.py could not be recorded: Fatal Python error: out of luck"):
        record_own("p.py")


def test_a_recording_that_somebody_removes_is_no_fault_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave(monkeypatch, shutil.rmtree)
    with pytest.raises(SandboxError, match="somebody removed its trace"):
        record_own("p.py")


def test_half_an_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    leave(monkeypatch, lambda place: (place / "answer.json").write_text(json.dumps({"refused": "x"})[:-2]))
    with pytest.raises(CwmTraceError, match="could not be recorded"):
        record_own("p.py")


def test_each_test_is_a_trace(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef two():\n    return 2\n\n"
        "def test_right(two):\n    assert two\n\ndef test_wrong(two):\n    assert not two\n"
    )
    traces = dict(record_tests(["-p", "no:cacheprovider"], folder=str(tmp_path), hash_seed="0"))
    assert {name: trace.outcome for name, trace in traces.items()} == {
        "test_it.py-test_right.trace.jsonl": Outcome.RETURNED,
        "test_it.py-test_wrong.trace.jsonl": Outcome.RAISED,
    }
    assert all(trace.entry.startswith("test_") for trace in traces.values())

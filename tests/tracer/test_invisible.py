"""What a program can see of the compiled recorder: next to nothing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from cwm_trace import Outcome, trace_execution
from cwm_trace.tracer.session import Memory, Options
from tests.effort import HANGS
from tests.tracer.both import DISTORTED_BY_PYTHON, HAZARDS, NEEDS_C, RECORDERS, ROOT, by, use
from tests.tracer.goldens import alone
from tests.tracer.oracle import watch

pytestmark = NEEDS_C


def ask(program: str) -> str | None:
    return by("c", textwrap.dedent(program)).run.output


def test_nobody_sees_a_trace_function() -> None:
    program = """
    import sys, threading
    def f():
        return sys.gettrace()
    print(sys.gettrace(), f())
    """
    assert ask(program) == "None None\n"


WATCHED = """
import _thread, os, signal, sys, threading

def watch(frame, event, arg):
    seen.add(os.path.basename(frame.f_code.co_filename))
    if event.startswith("c_"):
        seen.add(getattr(arg, "__module__", None) or "")
    return watch

def work():
    done.set()

def on_signal(number, frame):
    return number

def run():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    done.clear()
    _thread.start_new_thread(work, ())
    done.wait()
    before = signal.signal(signal.SIGUSR1, on_signal)
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGUSR1) and before)
    exec("made = (lambda: 1)()")
    try:
        _thread.start_new_thread(work, [1])
    except TypeError as error:
        names.add(error.__traceback__.tb_next)
    sys.settrace(None)

seen, names, done = set(), set(), threading.Event()
threading.HOW(watch)
sys.HOW(watch)
run()
sys.HOW(None)
threading.HOW(None)
print(names, [name for name in sorted(seen) if name in OURS or name.startswith("cwm_trace")])
"""


@pytest.mark.parametrize("how", ["setprofile", "settrace"])
@pytest.mark.parametrize("recorder", RECORDERS)
def test_a_profiler_and_a_trace_function_of_the_program_see_nothing_of_ours(recorder: str, how: str) -> None:
    ours = [path.name for path in (ROOT / "tracer").glob("*.py")]
    trace = by(recorder, WATCHED.replace("HOW", how).replace("OURS", repr(ours)))
    assert trace.run.output == "{None} []\n"


def test_what_stands_in_for_a_function_looks_like_it() -> None:
    program = """
    import _thread, inspect, os, pickle, posix, sys
    def show(function):
        try:
            function(*[[]] * 9)
        except TypeError as error:
            print(error, error.__traceback__.tb_next)
        print(repr(function), repr(function.__self__), function.__doc__, inspect.isbuiltin(function))
        print(function.__module__, function.__text_signature__)
        print(pickle.loads(pickle.dumps(function)) is function)
    for function in (sys.settrace, os._exit, posix._exit, _thread.start_new_thread, _thread.start_new):
        show(function)
    print(inspect.signature(os._exit))
    """
    plain = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert ask(program) == plain.stdout


@pytest.mark.parametrize("name", sorted(DISTORTED_BY_PYTHON - {"repr_locks", "finalizer"}))
def test_what_a_tracer_in_python_changes_stays_as_it_is(name: str) -> None:
    trace = by("c", HAZARDS / f"{name}.py")
    plain = watch(HAZARDS / f"{name}.py", traced=False)
    assert (trace.run.output, trace.outcome.value) == (plain.output, "returned")


def test_a_caught_recursion_error_does_not_end_the_recording() -> None:
    program = """
    def deep(n):
        return deep(n + 1)
    caught = 0
    for attempt in range(100):
        try:
            deep(0)
        except RecursionError:
            caught += 1
    after = caught
    end = after
    """
    trace = by("c", textwrap.dedent(program))
    last = [frame.changed["after"] for frame in trace.frames if "after" in frame.changed]
    assert [slot and slot.text for slot in last] == ["100"]
    assert trace.outcome is Outcome.RETURNED
    assert not any("replaced" in warning for warning in trace.warnings)


def test_recursion_goes_as_deep_as_without() -> None:
    program = """
    def depth(n):
        try:
            return depth(n + 1)
        except RecursionError:
            return n
    print(depth(0))
    """
    text = textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=HANGS, check=True
    )
    traced = subprocess.run(
        [sys.executable, "-m", "cwm_trace", "run", "--recorder", "c", "-q", "-o", os.devnull, "-c", text],
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=True,
        cwd=ROOT,
    )
    assert abs(int(done.stdout) - int(traced.stdout)) <= 3


def test_the_garbage_collector_has_nothing_of_ours_to_count() -> None:
    program = """
    import gc
    def f(n):
        total = [0]
        for i in range(n):
            total[0] += i
        return total
    gc.collect()
    before = gc.get_count()[0]
    for _ in range(20):
        f(20)
    print(gc.get_count()[0] - before)
    """
    text = textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=HANGS, check=True
    )
    assert ask(program) == done.stdout


def test_an_object_goes_on_the_line_that_drops_it() -> None:
    program = """
    import weakref
    class Thing: pass
    def f():
        thing = Thing()
        there = weakref.ref(thing, lambda _: print("gone"))
        thing = None; print(there() is None)
        return there
    f()
    """
    assert ask(program) == "gone\nTrue\n"


@pytest.fixture
def small_heap() -> Iterator[None]:
    """Nothing to collect but what the test makes."""
    with alone():
        yield


@pytest.mark.usefixtures("small_heap")
def test_references_are_given_back() -> None:
    def run() -> None:
        class Local:
            pass

        for value in ([Local()], {1: "a" * 20}, Local, (1, [2.5])):
            again = value
        del again

    def count() -> int:
        gc.collect()
        return len(gc.get_objects())

    marker = "a marker" + str(os.getpid())

    def hold(text: str) -> list[str]:
        kept = [text]
        return kept * 2

    with use("c"):
        trace_execution(run)
        before, held = count(), sys.getrefcount(marker)
        for _ in range(50):
            trace_execution(run)
            trace_execution(hold, marker)
        assert count() - before < 20
        assert sys.getrefcount(marker) == held


@pytest.mark.usefixtures("small_heap")
def test_a_class_that_a_suspended_generator_saw_can_go() -> None:
    import weakref

    def run() -> Any:
        class Local:
            pass

        def steps() -> Any:
            held = Local()
            yield held

        generator = steps()
        next(generator)
        Local.generator = generator  # type: ignore[attr-defined]
        return weakref.ref(Local)

    sink = Memory()
    with use("c"):
        from cwm_trace.tracer.calls import record_call

        there = record_call(run, (), {}, sink, Options()).value
    gc.collect()  # the recorder goes,
    gc.collect()  # and lets go of the class
    assert there() is None

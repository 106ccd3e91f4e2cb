"""The compiled recorder gives the frames of the one in Python, and leaves alone what that cannot."""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cwm_trace import CwmTraceError, Limits, Outcome, Trace, read_trace, trace_execution
from cwm_trace.storage import TraceWriter
from cwm_trace.strategies import Program, programs
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.session import Memory, Options, record_program
from tests.effort import HANGS, examples
from tests.tracer.both import DISTORTED_BY_PYTHON, RECORDERS, use
from tests.tracer.goldens import SAMPLES, forget_siblings, sample_names
from tests.tracer.oracle import watch

pytestmark = pytest.mark.skipif("c" not in RECORDERS, reason="the compiled recorder is not built")

HAZARDS = Path(__file__).resolve().parent / "hazards"
ROOT = SAMPLES.parents[1]


def by(recorder: str, target: Any, **options: Any) -> Trace:
    forget_siblings()
    gc.collect()
    with use(recorder):
        trace = trace_execution(target, capture_output=True, **options)
    assert trace.run.recorder == recorder
    return trace


def assert_equal(target: Any, **options: Any) -> None:
    ours, theirs = by("c", target, **options), by("python", target, **options)
    for mine, other in itertools.zip_longest(ours.frames, theirs.frames):
        assert mine == other
    assert (ours.outcome, ours.run.output, ours.program.files) == (
        theirs.outcome,
        theirs.run.output,
        theirs.program.files,
    )
    assert (ours.warnings, ours.run.skipped) == (theirs.warnings, theirs.run.skipped)


@pytest.mark.parametrize("name", [name for name in sample_names() if name not in DISTORTED_BY_PYTHON])
def test_a_sample_has_the_same_frames(name: str) -> None:
    assert_equal(SAMPLES / f"{name}.py")


def hazards() -> list[str]:
    return sorted(path.stem for path in HAZARDS.glob("*.py") if path.stem not in DISTORTED_BY_PYTHON)


@pytest.mark.parametrize("name", [name for name in hazards() if name != "other_thread"])  # counts its threads
def test_a_hazard_has_the_same_frames(name: str) -> None:
    assert_equal(HAZARDS / f"{name}.py")


@given(programs(max_statements=10))
@examples(0.5)
def test_any_program_has_the_same_frames(program: Program) -> None:
    assert_equal(program.source, call=program.call)


@given(programs(max_statements=10))
@examples(0.2)
def test_any_program_is_written_byte_for_byte(program: Program) -> None:
    written = {}
    for recorder in ("c", "python"):
        path = Path(f"/tmp/{os.getpid()}.{recorder}.jsonl")
        try:
            with use(recorder), TraceWriter(path) as writer:
                record_program(load_code(program.source), writer)
            written[recorder] = path.read_bytes().replace(b'"recorder":"c"', b'"recorder":"python"')
        finally:
            path.unlink(missing_ok=True)
    assert written["c"] == written["python"]


VALUES = r"""
class Odd:
    def __repr__(self):
        return ".."
class Text(str):
    pass
class Late:
    def __repr__(self):
        return "late \udc80"
Odd.__qualname__ = "O\udc80dd"
import collections, enum
Named = collections.namedtuple("Named", "a b")
Colour = enum.Enum("Colour", "RED")
def f(a):
    values = [0, -1, 2**62, 2**63, -2**63 - 1, 10**5000, True, None, ..., 1.0, -0.0, 1e300, float("nan"), 1j,
              "", "it's", 'say "x"', "both ' and \"", "\\ \n \x00 \x7f", "\u00e9\u4e2d\U0001f600", "\ud800",
              b"", b"\xff'", bytearray(b"x"), (), (1,), [[]], {}, {1: {2: [3]}}, set(), {1}, frozenset(),
              frozenset([1, 2]), range(3), range(10**30), slice(1), Odd(), [Odd()], Text("a"), Late(),
              Named(1, 2), Colour.RED, len, print, object(), [object()],
              ValueError("a", 1), " at 0x12", [" at 0x12g"],
              bytearray(b" at 0x12"), [".."], collections.OrderedDict(a=1), collections.deque([1], 2),
              [10**5000]]
    for value in values:
        again = value
    nested = [1]
    for _ in range(60):
        nested = [nested]
    cycle = []
    cycle.append(cycle)
    both = [cycle, cycle, {"c": cycle}]
    return a
f(1)
"""


def test_values_of_every_kind_have_the_same_text() -> None:
    assert_equal(textwrap.dedent(VALUES))
    assert_equal(textwrap.dedent(VALUES), limits=Limits(max_value_chars=3))


CHANGES = """
def f():
    x = 1
    x = True
    x = 1.0
    x = -0.0
    x = 0.0
    x = float("nan")
    x = float("nan")
    d = {1: 2, 3: 4}
    d[1] = d.pop(1)
    inner = [1]
    outer = [inner, (inner, {"k": inner})]
    inner.append(2)
    inner[0] = True
    inner[0] = 1.0
    y = [1000, "ab" * 2]
    y = [999 + len("a"), "abab"]
    del x
    z = y
    x = 2
    x, z = z, x
    del y, z
    return x
def g(a, b):
    def h():
        nonlocal b
        b += a
        return late
    late = 1
    del b
    b = 2
    return h() + b
f()
g(1, 2)
class C:
    a = 1
    b = [a]
    b.append(2)
    del a
    a = 3
"""


def test_changes_of_every_kind_are_seen() -> None:
    assert_equal(CHANGES)


@pytest.mark.parametrize(
    "bounds", [{"max_frames": 7}, {"max_bytes": 20}, {"max_depth": 1}, {"max_frames": 1}]
)
def test_limits_end_at_the_same_frame(bounds: dict[str, int]) -> None:
    assert_equal(CHANGES, limits=Limits(**bounds))


def test_nested_recordings_are_kept_apart() -> None:
    def inner(n: int) -> int:
        return n + 1

    def outer() -> Trace:
        traced = trace_execution(inner, 1)
        after = 1
        assert after
        return traced

    for outside, inside in itertools.product(("c", "python"), repeat=2):
        with use(outside):

            def run(inside: str = inside) -> Trace:
                with use(inside):
                    return outer()

            trace = trace_execution(run)
        lines = [frame.source.strip() for frame in trace.frames]
        assert "after = 1" in lines, (outside, inside)
        assert "return n + 1" not in lines
        assert "another recording began" in trace.warnings[0]
        assert sys.gettrace() is None


# --- what the program can see


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


# --- files


def test_a_file_has_no_zeros_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with use("c"), TraceWriter(path) as writer:
        record_program(load_code("x = 1\n"), writer)
        assert path.stat().st_size > 10_000  # reserved
    data = path.read_bytes()
    assert b"\0" not in data
    assert data.endswith(b"}\n")
    assert json.loads(data.splitlines()[0])["recorder"] == "c"


def killed(tmp_path: Path, after: float) -> tuple[int, Trace | None]:
    """Kill a program that counts; the last count that it said before, and its trace."""
    path, counter = tmp_path / "t.jsonl", tmp_path / "count"
    program = f"""
    import mmap, os
    file = os.open({str(counter)!r}, os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, 8)
    said = mmap.mmap(file, 8)
    def count(n):
        while True:
            n += 1
            said[0:8] = n.to_bytes(8, "little")
    count(0)
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "cwm_trace", "run", "-o", str(path), "-c", textwrap.dedent(program)], cwd=ROOT
    )
    deadline = time.monotonic() + HANGS
    while not counter.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait(HANGS)
    said = int.from_bytes(counter.read_bytes(), "little")
    counter.unlink()
    return said, read_trace(path) if path.exists() else None


def assert_whole(said: int, trace: Trace | None) -> None:
    assert trace is not None
    assert trace.outcome is Outcome.INCOMPLETE
    counts = [int(slot.text) for frame in trace.frames if (slot := frame.changed.get("n")) is not None]
    assert said <= counts[-1] <= said + 1  # the line that says it comes after the event that shows it
    assert counts == list(range(len(counts)))


def test_a_killed_program_leaves_every_frame(tmp_path: Path) -> None:
    assert_whole(*killed(tmp_path, 0.2))


@pytest.mark.slow
def test_a_program_killed_at_a_hundred_moments_leaves_every_frame(tmp_path: Path) -> None:
    moments = random.Random(1)
    for _ in range(100):
        assert_whole(*killed(tmp_path, moments.random()))


def test_a_full_disk_ends_the_recording_only(tmp_path: Path) -> None:
    code = f"""
import resource
from cwm_trace.storage import TraceWriter
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.session import record_program
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = TraceWriter({str(tmp_path / "t.jsonl")!r})
ending = record_program(load_code("for i in range(10000):\\n    x = i\\nprint(x)\\n"), writer)
writer.close()
print(type(ending.failure).__name__, ending.trace.run.recorder, ending.frames)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANGS, check=True, cwd=ROOT
    )
    output, failure = done.stdout.splitlines()
    kind, recorder, frames = failure.split()
    assert (output, kind, recorder) == ("9999", "OSError", "c")
    assert len(read_trace(tmp_path / "t.jsonl").frames) == int(frames) > 500


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_has_all_of_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.jsonl{suffix}"
    with use("c"), TraceWriter(path) as writer:
        record_program(load_code("for i in range(2000):\n    x = i\n"), writer)
    assert read_trace(path).frames == by("python", "for i in range(2000):\n    x = i\n").frames


def test_a_forked_child_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    program = """
import os
x = 1
child = os.fork()
if child == 0:
    y = 2
    os._exit(0)
os.waitpid(child, 0)
z = 3
w = z
"""
    with use("c"), TraceWriter(path) as writer:
        record_program(load_code(program), writer)
    trace = read_trace(path)
    names = {name for frame in trace.frames for name in frame.changed}
    assert {"x", "z"} <= names
    assert "y" not in names


# --- which recorder


def test_what_it_cannot_do_is_done_in_python() -> None:
    trace = trace_execution("class A: pass\nx = A()\n", expand_objects=1)
    assert trace.run.recorder == "python"


def test_it_says_what_it_cannot_do() -> None:
    with pytest.raises(
        CwmTraceError, match=r"the compiled recorder cannot expand objects: use --recorder python"
    ):
        record_program(load_code("x = 1\n"), Memory(), Options(expand_objects=1, recorder="c"))


def test_a_wrong_name_in_the_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWM_TRACE_RECORDER", "rust")
    with pytest.raises(CwmTraceError, match="CWM_TRACE_RECORDER is 'rust': set it to auto or python"):
        trace_execution("x = 1\n")


@pytest.mark.slow
def test_ten_thousand_runs_leak_nothing() -> None:
    def run() -> int:
        values = [1, "a", {"k": [2.5]}]
        return len(values)

    sizes = []
    with use("c"):
        for _ in range(10):
            for _ in range(1000):
                trace_execution(run)
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert sizes[-1] - sizes[2] < 1024  # KiB

"""The compiled recorder gives the frames of the one in Python, and leaves alone what that cannot."""

from __future__ import annotations

import gc
import itertools
import resource
import subprocess
import sys
import textwrap
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cwm_trace import CwmTraceError, Limits, Trace, trace_execution
from cwm_trace.plain import SourceLines, frames_from_fields, lines_of_fields
from cwm_trace.records import Frame, SourceFile
from cwm_trace.strategies import DrawnProgram, programs
from cwm_trace.tracer.extension import records_of_lines
from cwm_trace.tracer.program import load_code
from cwm_trace.tracer.session import Memory, Options, record_program
from tests.effort import examples
from tests.tracer.agreement import Count, difference, first_difference, may_differ, without_name
from tests.tracer.both import COUNT_THREADS, DISTORTED_BY_PYTHON, HAZARDS, NEEDS_C, ROOT, by, use
from tests.tracer.goldens import SAMPLES, sample_names

pytestmark = NEEDS_C


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


TEXTS = st.text(st.characters() | st.sampled_from('"\\\n\x00\x1f\x7fé\ud800 '), max_size=12)
SLOTS = st.fixed_dictionaries(
    {"text": TEXTS},
    optional={"type": TEXTS, "size": st.integers(0, 2**40), "clipped": st.integers(1, 300)},
).map(lambda slot: {name: slot[name] for name in ("text", "type", "size", "clipped") if name in slot})
FRAMES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["call", "line", "return", "exception"]),
        "line": st.integers(0, 4),
        "activation": st.integers(0, 2**40),
        "depth": st.integers(0, 300),
    },
    optional={
        "thread": st.integers(1, 9),
        "file": st.integers(1, 3),
        "changed": st.dictionaries(TEXTS, SLOTS | st.none(), min_size=1, max_size=3),
        "value": SLOTS,
        "message": TEXTS,
    },
)


@given(st.lists(FRAMES, max_size=5))
@examples(3)
def test_lines_are_the_frames_that_they_were_made_of(frames: list[Any]) -> None:
    """Also where one part is met again and again; and the garbage collector has nothing to look at."""
    files = SourceFile("a.py", "x = 1\ny = 2\n"), SourceFile("b.py", "")
    read = records_of_lines(lines_of_fields(frames * 2), files)
    assert read == frames_from_fields(frames * 2, SourceLines(files))
    assert not any(map(gc.is_tracked, read))


@given(
    st.lists(FRAMES, min_size=1, max_size=2), st.floats(0, 1), st.integers(0, 3), st.sampled_from('"\\{,7\nz')
)
@examples(3)
def test_a_broken_line_is_an_error_or_another_frame(
    frames: list[Any], place: float, size: int, text: str
) -> None:
    lines = lines_of_fields(frames)
    start = int(place * len(lines))
    with suppress(ValueError):
        read = records_of_lines(lines[:start] + text.encode() + lines[start + size :], ())
        assert all(type(frame) is Frame for frame in read)


@pytest.mark.parametrize("name", [name for name in sample_names() if name not in DISTORTED_BY_PYTHON])
def test_a_sample_has_the_same_frames(name: str) -> None:
    assert_equal(SAMPLES / f"{name}.py")


def hazards() -> list[str]:
    return sorted(path.stem for path in HAZARDS.glob("*.py") if path.stem not in DISTORTED_BY_PYTHON)


@pytest.mark.parametrize("name", [name for name in hazards() if name not in COUNT_THREADS])
def test_a_hazard_has_the_same_frames(name: str) -> None:
    assert_equal(HAZARDS / f"{name}.py")


@given(programs(max_statements=10))
@examples(0.5)
def test_any_program_has_the_same_frames(program: DrawnProgram) -> None:
    assume(not may_differ(program))
    assert_equal(program.source, call=program.call)


@given(programs(max_statements=10))
@examples(0.2)
def test_any_program_is_written_byte_for_byte(program: DrawnProgram) -> None:
    assume(not may_differ(program))
    assert difference(lambda: load_code(program.source)) == ""


def test_a_difference_would_be_found() -> None:
    assert "line 1: b'b' by c, b'c' by python" in first_difference(b"a\nb\n", b"a\nc\n")
    assert first_difference(b"a\nb\n", b"a\n") == "line -1: 2 by c, 1 by python"
    with pytest.raises(AssertionError, match="c did not record"):
        without_name(b'{"recorder":"python"}\n', "c")


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


OBJECTS = r"""
import enum
class Colour(enum.Enum):
    RED = 1
class Cart:
    def __init__(self, owner):
        self.owner = owner
        self.items = []
    def __repr__(self):
        raise ValueError
def f(n):
    cart = Cart("ann\udc80")
    for i in range(n):
        cart.items.append({"number": i, "colour": Colour.RED, "deep": [[[[[[[i]]]]]]]})
    long = list(range(10_001))
    plain = [[[[[[[[1]]]]]]]]
    cart.items[0]["back"] = cart
    return cart, long, plain
f(3)
1 / 0
"""


@pytest.mark.parametrize("depth", [1, 3])
def test_objects_are_expanded_alike(depth: int) -> None:
    assert_equal(OBJECTS, expand_objects=depth)


def test_secrets_are_left_out_alike() -> None:
    program = """
    import sys
    def connect(host, password):
        key = password + host
        texts = [key, {"token": "t0p s3cret"}]
        sys.stdout.write(texts[1]["token"])
        return texts
    user = connect("here", "hunter2hunter2")
    raise ValueError(user)
    """
    assert_equal(textwrap.dedent(program), redact=["default"], limits=Limits(max_value_chars=20))


def test_what_it_cannot_do_is_done_in_python() -> None:
    class OneByOne(Memory):
        open_log: Any = None

    sink = OneByOne()
    with use("c"):
        record_program(load_code("x = 1\n"), sink)
    assert sink.trace.run.recorder == "python"
    with pytest.raises(CwmTraceError, match=r"cannot write where this recording goes: use --recorder python"):
        record_program(load_code("x = 1\n"), OneByOne(), Options(recorder="c"))


def test_one_built_from_older_sources_does_not_record() -> None:
    program = """
import sys
from cwm_trace.tracer import _recorder
_recorder.EDITION -= 1
from cwm_trace import trace_execution
print(trace_execution("x = 1\\n").run.recorder)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "python\n"


def test_a_wrong_name_in_the_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWM_TRACE_RECORDER", "rust")
    with pytest.raises(CwmTraceError, match="CWM_TRACE_RECORDER is 'rust': set it to c or python"):
        trace_execution("x = 1\n")


@pytest.mark.slow
def test_five_thousand_drawn_programs_agree() -> None:
    count = Count()
    count.drawn(5_000)
    assert count.differ == []
    assert count.agree["drawn"] > 4_000


@pytest.mark.slow
def test_ten_thousand_runs_leak_nothing() -> None:
    def run() -> int:
        class Local:
            pass

        values = [1, "a", {"k": [2.5]}, Local(), 10**50, b"x"]
        steps = iter(values)
        return len([next(steps), *(value for value in values)])

    def count() -> tuple[int, int]:
        gc.collect()
        return sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    counts = []
    with use("c"):
        for _ in range(10):
            for _ in range(1000):
                trace_execution(run)
            counts.append(count())
    (blocks, memory), (last_blocks, last_memory) = counts[2], counts[-1]
    assert last_blocks - blocks < 700  # a tenth of one for each run
    assert last_memory - memory < 1024  # KiB

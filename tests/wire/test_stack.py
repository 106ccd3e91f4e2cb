from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import compare_execution, parse_trace, render_trace, trace_execution
from cwm_trace.records import Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.wire import stack
from cwm_trace.wire.profile import CWM, KTH, FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.stack import StackMachine, Step

TEXT = """\
def g(n):
    yield n
    yield n
def f(n):
    if n:
        return f(n - 1)
    return [x for x in g(n)]
class A: pass
"""
PROGRAM = Trace(Program((SourceFile("p.py", TEXT),), "f", 4))
DROPPED = FormatProfile(unwinding_return="dropped")


def follow(script: str, profile: FormatProfile = CWM, program: Trace = PROGRAM) -> list[Step]:
    """One step for each `event line [locals or value]` of the script."""
    machine = StackMachine(program, profile)
    lines = program.files[0].text.split("\n")
    steps = []
    for row in script.strip().split("\n"):
        event, number, *rest = row.split(maxsplit=2)
        text = rest[0] if rest else None
        texts = dict(pair.split("=") for pair in (text or "").split()) if event in ("call", "line") else None
        steps.append(machine.step(Event(event), lines[int(number) - 1], texts, text))
    assert machine.outcome in Outcome
    return steps


def activations(steps: list[Step]) -> list[tuple[int, int]]:
    return [(step.frame.activation, step.frame.depth) for step in steps]


def test_calls_push_and_returns_pop() -> None:
    steps = follow(
        "call 4 n=1\nline 5 n=..\nline 6 n=..\ncall 4 n=0\nline 5 n=..\nline 7 n=..\nreturn 7 []\nreturn 6 []"
    )
    assert activations(steps) == [(0, 0)] * 3 + [(1, 1)] * 4 + [(0, 0)]
    assert [step.frame.line for step in steps] == [4, 5, 6, 4, 5, 7, 7, 6]
    assert not any(step.faults for step in steps)


def test_a_generator_keeps_its_activation() -> None:
    steps = follow(
        "call 4 n=0\nline 7 n=..\ncall 1 n=0\nline 2 n=..\nreturn 2 0\nline 7 n=0\n"
        "call 2 n=0\nline 3 n=..\nreturn 3 0\ncall 1 n=0"
    )
    assert [number for number, _ in activations(steps)] == [0, 0, 1, 1, 1, 0, 1, 1, 1, 2]


def test_of_two_suspended_generators_the_one_with_this_state_goes_on() -> None:
    steps = follow(
        "call 4 n=0\ncall 1 n=5\nline 2 n=..\nreturn 2 5\ncall 1 n=6\nline 2 n=..\nreturn 2 6\n"
        "call 2 n=5\ncall 2 n=6"
    )
    assert [number for number, _ in activations(steps)][-2:] == [1, 2]


def test_a_copy_reaches_back_within_its_unbroken_run_only() -> None:
    script = "call 4 n=1\nline 6 n=..\ncall 4 n=0\nreturn 7 []\nline 7 n=.."
    state = {"n": Slot("..")}
    assert follow(script)[-1].frame.changed == state
    assert follow(script, KTH)[-1].frame.changed == {}


def test_a_copy_in_a_call_is_dangling() -> None:
    assert follow("call 4 n=..", KTH)[0].frame.changed == {"n": Slot("..")}


def test_a_name_that_is_gone_is_deleted() -> None:
    assert follow("call 4 n=1\nline 5 m=2")[1].frame.changed == {"m": Slot("2"), "n": None}


def test_locals_that_could_not_be_read_change_nothing() -> None:
    machine = StackMachine(PROGRAM, CWM)
    machine.step(Event.CALL, "def f(n):", {"n": "1"}, None)
    assert machine.step(Event.LINE, "    if n:", None, None).frame.changed == {}
    assert machine.step(Event.LINE, "    if n:", {"n": ".."}, None).frame.changed == {}


def test_a_return_of_none_after_an_exception_is_unwinding() -> None:
    steps = follow("call 4 n=1\nexception 5 E()\nreturn 5 None")
    assert steps[-1].frame.value is None
    steps = follow("call 4 n=1\nexception 5 E()\nline 7 n=..\nreturn 7 None")
    assert steps[-1].frame.value == Slot("None")


def test_an_exception_that_ends_a_loop_leaves_nothing() -> None:
    program = Trace(Program((SourceFile("p.py", "def f(n):\n    for x in n:\n        pass\n"),), "f", 1))
    steps = follow("call 1 n=1\nexception 2 StopIteration()\nreturn 2 None", program=program)
    assert steps[-1].frame.value == Slot("None")


def test_dropped_returns_are_seen_by_where_the_exception_goes() -> None:
    script = "call 4 n=1\nline 6 n=..\ncall 4 n=0\nline 6 n=..\nexception 6 E()\nexception 6 E()\nline 7 n=1"
    steps = follow(script, DROPPED)
    assert activations(steps) == [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0)]
    machine = StackMachine(PROGRAM, DROPPED)
    machine.step(Event.CALL, "def f(n):", {}, None)
    machine.step(Event.EXCEPTION, "    if n:", None, "E()")
    assert machine.finish() == (Outcome.RAISED, 0)


def test_dropped_returns_leave_written_ones_alone() -> None:
    assert follow("call 4 n=1\nexception 5 E()\nreturn 5 None", DROPPED)[-1].frame.value == Slot("None")


def test_what_does_not_fit_the_stack_is_a_fault() -> None:
    assert [grade for grade, _ in follow("line 5 n=1")[0].faults] == ["stack"]
    assert [grade for grade, _ in follow("call 4\nreturn 5 1\nline 5")[2].faults] == ["stack"]
    assert [grade for grade, _ in follow("call 4\ncall 9")[1].faults] == ["source"]


def test_how_it_ended_is_known_at_the_end() -> None:
    machine = StackMachine(PROGRAM, CWM)
    assert machine.finish() == (Outcome.INCOMPLETE, 0)
    machine.step(Event.CALL, "def f(n):", {}, None)
    assert machine.finish() == (Outcome.INCOMPLETE, 1)
    machine.step(Event.RETURN, "    if n:", None, "1")
    assert machine.finish() == (Outcome.RETURNED, 0)


def test_a_module_that_is_imported_is_called_in_a_file_of_its_own() -> None:
    """Its CALL has no source, and may repeat; files come in the order in which they are first seen."""
    texts = ("import a, b\n\nx = 1\n", "x = 1\ny = 2\n", "x = 1\nfor y in x:\n    x = 1\n")
    files = tuple(SourceFile(f"{name}.py", text) for name, text in zip("mab", texts, strict=True))
    machine = StackMachine(Trace(Program(files, "<module>", 0)), FormatProfile(module_code="module"))
    call, line, end = Event.CALL, Event.LINE, Event.RETURN
    script = [(call, ""), (line, "import a, b"), (call, ""), (line, "x = 1"), (end, "y = 2"), (call, "")]
    script += [
        (line, "for y in x:"),
        (line, "x = 1"),
        (end, "x = 1"),
        (call, ""),
        (end, "y = 2"),
        (line, "x = 1"),
    ]
    steps = [machine.step(event, source, {}, "None" if event is end else None) for event, source in script]
    places = [(step.frame.file, step.frame.line) for step in steps]
    assert places[:6] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)]
    assert places[6:9] == [(2, 2), (2, 1), (2, 1)]
    assert places[9:] == [(2, 0), (1, 2), (0, 3)]
    assert not any(step.faults for step in steps)


def test_a_history_is_replayed() -> None:
    frames = (
        Frame(Event.CALL, 4, "def f(n):", changed={"n": Slot("0", "int", 0)}),
        Frame(Event.LINE, 7, "    return [x for x in g(n)]"),
        Frame(Event.CALL, 1, "def g(n):", 4, 1, changed={"n": Slot("0", "int", 0)}),
        Frame(Event.LINE, 2, "    yield n", 4, 1),
        Frame(Event.RETURN, 2, "    yield n", 4, 1, value=Slot("0")),
    )
    program = Trace(Program(PROGRAM.files, "f", 4), frames)
    steps = follow("call 2 n=0\nline 3 n=..\nreturn 3 0\ncall 4 n=9", program=program)
    assert activations(steps) == [(4, 1), (4, 1), (4, 1), (5, 1)]
    assert steps[0].frame.changed == {}


ONE_LINE = {
    "comprehensions": "n = 0; return [(n + n) for x in [0 for x in [1]]]",
    "of nothing": "n = 0; return [[n for x in []], [n for y in [1]]]",
    "lambdas": "return (lambda: 0)() + (lambda a: a)(1) + (lambda a, b: b)(1, 2)",
    "a lambda called by a generator": "return list((lambda a, b: b)(y, y) for y in [1, 2])",
    "a lambda between": "return list(map(lambda y: y, (y for y in [1, 2])))",
    "generators": "return list(x + 1 for x in (x for x in [1, 2]))",
    "a generator of generators": "return [*map(list, ((x for x in [y, 0]) for y in [1, 2]))]",
    "a key": "return sorted([x for x in [2, 1]], key=lambda p: (p, [q for q in [p]]))",
    "a set in a generator": "return list({a for a in [g]} for g in [1, 2])",
    "more names later": "g = (x and n for x in [0, 1]); a = next(g); n = 5; return a, next(g)",
    "nothing but None": "return list(None for x in [1, 2]) + [y for y in (None for x in [1])]",
    "a class": "A = type('A', (), {'f': lambda s: [s for s in [1]]}); return A().f()",
}
SEVERAL_LINES = {
    "a generator": "def f(n=3):\n    return sum(\n        x * n\n        for x in [1, 2]\n    )\n",
    "async for": """\
async def g():
    for x in 1, 2:
        yield x
async def h():
    r = []
    async for x in g():
        await pause()
        r.append(x)
    return r
class pause:
    def __await__(s):
        yield
def f():
    try:
        c = h()
        while True:
            c.send(None)
    except StopIteration as e:
        return e.value
""",
    "async with": """\
class A:
    async def __aenter__(s):
        await s
    async def __aexit__(s, *e):
        await s
    def __await__(s):
        yield
async def g():
    async with A() as a:
        return 1
def f():
    try:
        c = g()
        while True:
            c.send(None)
    except StopIteration as e:
        return e.value
""",
}


@pytest.mark.parametrize(
    "source",
    [*(f"def f(): {body}\n" for body in ONE_LINE.values()), *SEVERAL_LINES.values()],
    ids=[*ONE_LINE, *SEVERAL_LINES],
)
@pytest.mark.parametrize("known", [0, 0.5])
def test_what_waits_is_told_from_what_is_new(source: str, known: float) -> None:
    """A CALL where functions are defined continues one that waits, or enters one of them."""
    trace = trace_execution(source, call="f()", capture_output=True)
    assert trace.outcome is Outcome.RETURNED
    history = replace(trace, frames=trace.frames[: round(known * len(trace.frames))])
    rest = replace(trace, frames=trace.frames[len(history.frames) :])
    reader = FrameReader(history, CWM)
    written = "".join(
        piece if isinstance(piece, str) else piece.value
        for frame in rest.frames
        for piece in reader.push(frame)
    )
    parsed = parse_trace(written, program=history)
    assert parsed.guess.problems == ()
    assert [f.activation for f in parsed.frames] == [f.activation for f in trace.frames]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Event.CALL, Event.LINE, Event.RETURN, Event.EXCEPTION]),
            st.sampled_from([*TEXT.split("\n"), "other"]),
            st.none() | st.dictionaries(st.sampled_from("nm"), st.sampled_from(["..", "1"])),
            st.sampled_from([None, "None", "1"]),
        ),
        max_size=12,
    ),
    st.sampled_from([CWM, KTH, DROPPED]),
)
def test_any_steps_are_taken(
    steps: list[tuple[Event, str, dict[str, str] | None, str | None]], profile: FormatProfile
) -> None:
    machine = StackMachine(PROGRAM, profile)
    for step in steps:
        frame, faults = machine.step(*step)
        assert frame.event is step[0]
        assert frame.source == step[1]
        assert frame.depth >= 0
        assert all(grade in ("stack", "source") for grade, _ in faults)
    assert machine.finish()[1] >= 0


class CountedList(list[Any]):
    """Counts the searches from end to end."""

    searches = 0

    def index(self, *arguments: Any) -> int:
        CountedList.searches += len(self)
        return super().index(*arguments)

    def __contains__(self, item: object) -> bool:
        CountedList.searches += len(self)
        return super().__contains__(item)

    def __iter__(self) -> Iterator[Any]:
        CountedList.searches += len(self)
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        for item in super().__reversed__():
            CountedList.searches += 1
            yield item


def deep_trace(depth: int) -> Trace:
    source = "def f(n):\n    return n and f(n - 1)\n"
    with record_limit(depth):
        return trace_execution(source, call=f"f({depth})")


@contextmanager
def record_limit(depth: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 3 * depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("known", [True, False])
def test_work_grows_with_the_depth_and_not_its_square(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = deep_trace(600)
    machine = StackMachine(replace(trace, frames=()), CWM)
    monkeypatch.setattr(machine, "_stack", CountedList())
    CountedList.searches = 0
    for frame in trace.frames:
        if known:
            machine.replay(frame)
            continue
        state: dict[str, str] | None = {} if frame.event in (Event.CALL, Event.LINE) else None
        machine.step(frame.event, frame.source, state, None if state is not None else "0")
    assert machine.finish() == (Outcome.RETURNED, 0)
    assert CountedList.searches < 10 * len(trace.frames)


@pytest.mark.parametrize(
    "source",
    [
        "def f(n):\n    return sorted(range(n), key=lambda x: -x)[0]\n",
        "def f(n):\n    for i in range(n):\n        sum(x for x in range(2))\n    return n\n",
        "def g(n):\n    yield n\n\n\ndef f(n):\n    return sum(next(g(i)) for i in range(n))\n",
    ],
)
def test_suspended_activations_are_not_searched_one_by_one(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = trace_execution(source, call="f(300)")
    compared = 0

    def count(*arguments: Any) -> int:
        nonlocal compared
        compared += 1
        return shared(*arguments)

    shared = stack._shared
    monkeypatch.setattr(stack, "_shared", count)
    parsed = parse_trace(render_trace(trace))
    assert parsed.guess.problems == ()
    assert [f.activation for f in parsed.frames] == [f.activation for f in trace.frames]
    assert compared < 3 * len(trace.frames)


def test_a_module_that_runs_again_is_known_by_its_first_line() -> None:
    texts = ("import a, b\n", "x = 1\ny = 1\n", "x = 2\ny = 1\n", "z = 1\n")
    files = tuple(SourceFile(f"{name}.py", text) for name, text in zip("mabc", texts, strict=True))
    machine = StackMachine(Trace(Program(files, "<module>", 0)), CWM)
    call, line, end = Event.CALL, Event.LINE, Event.RETURN
    script = [(call, "def main():"), (line, "    import a, b")]
    for first in ("x = 1", "x = 2", "x = 1"):
        script += [(call, ""), (line, first), (line, "y = 1"), (end, "y = 1")]
    script += [(call, ""), (line, "z = 1"), (end, "z = 1")]
    frames = [machine.step(event, text, {}, "None" if event is end else None).frame for event, text in script]
    assert [(frame.file, frame.line) for frame in frames if frame.event is line] == [
        (0, 1),
        *[(1, 1), (1, 2), (2, 1), (2, 2), (1, 1), (1, 2)],
        (3, 1),
    ]
    assert [frame.file for frame in frames if frame.event is call][-1] == 3  # it was not taken for another's


def test_a_module_without_statements_stays_at_its_call() -> None:
    texts = ("import a, b\n", "# nothing\n", "")
    files = tuple(SourceFile(f"{name}.py", text) for name, text in zip("mab", texts, strict=True))
    machine = StackMachine(Trace(Program(files, "<module>", 0)), CWM)
    machine.step(Event.CALL, "def main():", {}, None)
    machine.step(Event.LINE, "    import a, b", {}, None)
    steps = [
        machine.step(event, "", {}, "None" if event is Event.RETURN else None)
        for event in (Event.CALL, Event.LINE, Event.RETURN) * 2
    ]
    assert [(step.frame.file, step.frame.line) for step in steps] == [(1, 0)] * 3 + [(2, 0)] * 3
    assert not any(step.faults for step in steps)


def test_a_program_of_several_files_comes_back_from_text(tmp_path: Path) -> None:
    """Nothing of it is called wrong, and every line is where the record has it."""
    (tmp_path / "first.py").write_text("\nfrom second import g\n\ndef f(n):\n    return g(n)\n")
    (tmp_path / "second.py").write_text("def g(n):\n    return n\n")
    (tmp_path / "p.py").write_text("import first\nx = first.f(1)\n")
    real = trace_execution(tmp_path / "p.py")
    assert len(real.files) == 3
    read = parse_trace(render_trace(real))
    assert read.guess.problems == ()
    comparison = compare_execution(real, read)
    assert comparison.first_divergence is None
    if sys.version_info >= (3, 11):  # before, the CALL of a module was on its first line
        assert comparison.score.next_lines.f1 == 1

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cwm_trace import trace_execution
from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.eval.local_steps.sandboxed_steps import Job, run_steps
from cwm_trace.eval.local_steps.statements import KINDS, find_statements
from cwm_trace.eval.local_steps.step_accuracy import LocalSteps, is_literal, score_local_steps
from cwm_trace.records import Event, Guess, Outcome, Slot, Trace

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.py"))

SOURCE = """\
def f(n):
    total = 0
    items = []
    while n > 0:
        total += n
        items.append(n)
        n = n - 1
        if total > 100:
            return None
    return total, items
"""


def score(predicted: Trace, real: Trace | None = None) -> LocalSteps:
    (found,) = score_local_steps([(predicted, real)])
    return found


def replay(trace: Trace) -> Trace:
    return replace(trace, guess=Guess(mode="free", given=1))


REAL = trace_execution(SOURCE, call="f(2)")


def test_the_oracle_computes_every_covered_step() -> None:
    found = score(replay(REAL), real=REAL)
    assert found.by_kind == {
        "assignment": Rate(4, 4),
        "augmented assignment": Rate(2, 2),
        "expression": Rate(2, 2),
        "if": Rate(2, 2),
        "return": Rate(1, 1),
        "while": Rate(3, 3),
    }
    assert found.outside == {"statement": 1}  # `return f(2)` calls a function of the program
    assert set(found.by_kind) == set(KINDS)
    assert found.coverage == Rate(14, 15)


def changed(index: int, **values: str) -> Trace:
    frames = list(REAL.frames)
    slots = dict(frames[index].changed) | {name: Slot(text) for name, text in values.items()}
    frames[index] = replace(frames[index], changed=slots)
    return replay(replace(REAL, frames=tuple(frames)))


def test_what_follows_rightly_from_a_wrong_state_is_right() -> None:
    """`total` is 7 instead of 0, and from there on everything is computed from 7."""
    lines = [frame.line for frame in REAL.frames]
    assert lines[4:9] == [3, 4, 5, 6, 7]
    frames = list(REAL.frames)
    for index, frame in enumerate(frames):
        slot = frame.changed.get("total")
        if slot is not None:
            frames[index] = replace(frame, changed={**frame.changed, "total": Slot(str(int(slot.text) + 7))})
        if frame.event is Event.RETURN:
            frames[index] = replace(frame, value=Slot("(10, [2, 1])"))
    found = score(replay(replace(REAL, frames=tuple(frames))))
    assert found.accuracy == Rate(13, 14)  # only `total = 0` is wrong
    assert found.by_kind["assignment"] == Rate(3, 4)


@pytest.mark.parametrize(
    ("line", "kind"), [(2, "assignment"), (5, "augmented assignment"), (6, "expression")]
)
def test_a_wrong_step_is_wrong_in_its_kind(line: int, kind: str) -> None:
    index = next(i for i, frame in enumerate(REAL.frames) if frame.line == line) + 1
    found = score(changed(index, extra="1"))
    assert found.by_kind[kind].hits == found.by_kind[kind].total - 1
    assert found.accuracy.hits == found.accuracy.total - 1  # the name stays, as it would


def test_a_wrong_branch_is_wrong() -> None:
    frames = list(REAL.frames)
    index = next(i for i, frame in enumerate(frames) if frame.line == 8) + 1
    assert frames[index].line == 4
    frames[index] = replace(frames[index], line=9)
    found = score(replay(replace(REAL, frames=tuple(frames))))
    assert found.by_kind["if"] == Rate(1, 2)


def test_an_end_is_a_wrong_step_and_a_cut_is_none() -> None:
    short = replay(replace(REAL, frames=REAL.frames[:6]))
    assert score(short).accuracy == Rate(2, 3)
    cut = replace(short, outcome=Outcome.TRUNCATED)
    assert score(cut).accuracy == Rate(2, 2)


def test_modes_that_answer_frame_by_frame_have_no_steps() -> None:
    for mode in ("forced", "forced-event", "forced-state", "output"):
        assert score(replace(replay(REAL), guess=Guess(mode=mode))) == LocalSteps()
    blocks = score(replace(replay(REAL), guess=Guess(mode="reground-3")))
    assert 0 < blocks.accuracy.hits == blocks.accuracy.total < 14


def test_exceptions_are_steps() -> None:
    trace = trace_execution("def f(d):\n    x = d['a']\n    return x\n", call="f({})")
    found = score(replay(trace))
    assert found.by_kind == {"assignment": Rate(1, 1)}
    frames = tuple(
        replace(frame, value=Slot("KeyError('b')")) if frame.event is Event.EXCEPTION else frame
        for frame in trace.frames
    )
    assert score(replay(replace(trace, frames=frames))).accuracy == Rate(0, 1)


BEYOND_TEXT = [
    ("def f(a):\n    b = a\n    b.append(1)\n    return a\n", "f([])"),
    ("def f():\n    g = [[0] * 2] * 2\n    g[0][0] = 1\n    return g\n", "f()"),
    ("def f():\n    g = [[0]]\n    row = g[0]\n    row += [1]\n    return g\n", "f()"),
    ("def f(d):\n    e = {'k': d}\n    d['x'] = 1\n    return e\n", "f({})"),
    ("def f(s):\n    x = list(s)\n    s.add(3)\n    y = s.pop()\n    return x\n", "f({1, 2})"),
    ("def f(a, b):\n    x = a is b\n    return x\n", "f(1000, 1000)"),
    ("def f(a):\n    x = id(a)\n    y = hash('a')\n    return 1\n", "f(1)"),
    ("max = min\ndef f(a):\n    x = max(a)\n    return x\n", "f([1, 2])"),
    ("k = 1\ndef f(a):\n    global k\n    k = a\n    x = k\n    return x\n", "f(2)"),
    ("def f(a):\n    def g():\n        return a\n    a = 2\n    return g()\n", "f(1)"),
    ("def f(a):\n    x = [i for i in a]\n    y = sorted(a, key=lambda i: -i)\n    return x\n", "f([1])"),
    ("def f(a):\n    try:\n        return a\n    finally:\n        a = 2\n", "f(1)"),
    ("def f(a):\n    if a: return 1\n    x = 1; y = 2\n    return y\n", "f(0)"),
    ("def f(a):\n    x = (a +\n         1)\n    return x\n", "f(0)"),
    ("def f(a):\n    x = iter(a)\n    y = next(x)\n    return y\n", "f([1])"),
    ("class C(int):\n    pass\ndef f(a):\n    c = C(a)\n    x = c + 1\n    return x\n", "f(1)"),
    ("class C:\n    __repr__ = lambda s: '1'\ndef f():\n    c = C()\n    return c == 1\n", "f()"),
    ("def f(a):\n    try:\n        a += 1\n    finally:\n        if a: a = 3\n        b = a\n", "f(1)"),
    ("def f(a):\n    x: int = a\n    x: list\n    return x\n", "f(1)"),
    ("def f(a):\n    sum = a\n    x = sum\n    del sum\n    return x\n", "f(1)"),
    ("def f(a):\n    x = yield a\n    return a\ndef g():\n    return list(f(1))\n", "g()"),
    ("def f(a):\n    x = 2 ** 20000\n    y = 'a' * a\n    return 1\n", "f(3)"),
]


def test_what_a_text_cannot_tell_is_outside() -> None:
    """And what is covered is right, with the types of a replay and without them."""
    traces = [trace_execution(body, call=call) for body, call in BEYOND_TEXT]
    for change in (replay, without_types):
        found = score_local_steps([(change(trace), trace) for trace in traces])
        for steps, (body, _) in zip(found, BEYOND_TEXT, strict=True):
            assert steps.accuracy.hits == steps.accuracy.total, body
            assert sum(steps.outside.values()) > 0, body


def without_types(trace: Trace) -> Trace:
    """As a parsed prediction is."""

    def bare(slot: Slot | None) -> Slot | None:
        return None if slot is None else Slot(slot.text)

    frames = tuple(
        replace(f, value=bare(f.value), changed={name: bare(slot) for name, slot in f.changed.items()})
        for f in trace.frames
    )
    return replay(replace(trace, frames=frames))


def test_the_oracle_computes_every_covered_step_of_the_samples() -> None:
    traces = [trace_execution(path) for path in SAMPLES]
    for change in (replay, without_types):
        found = score_local_steps([(change(trace), trace) for trace in traces])
        wrong = [p.stem for p, s in zip(SAMPLES, found, strict=True) if s.accuracy.hits < s.accuracy.total]
        assert wrong == []
        assert sum(steps.accuracy.total for steps in found) > 200


def test_a_statement_that_hangs_or_dies_has_no_outcome() -> None:
    jobs = [
        Job("1 + 1", True, {}),
        Job("pow(10, 10 ** 8)", True, {}),
        Job("[0] * 10 ** 12", True, {}),
        Job("'a' * 10 ** 7", True, {}),
        Job("x + 1", True, {"x": "2"}),
        Job("x", True, {"x": "open"}),
        Job("print(x)", False, {"x": "'a'"}),
        Job("__import__('os')", True, {}),
    ]
    found = run_steps(jobs, seconds=0.5)
    assert [outcome and outcome.value for outcome in found] == ["2", *[None] * 3, "3", None, None, None]
    assert found[2] is None or found[2].error == "MemoryError()"
    assert found[6] is not None
    assert found[6].changed == {}


def test_the_child_sees_nothing_of_this_process() -> None:
    (found,) = run_steps([Job("open", True, {})])
    assert found is not None
    assert found.error is not None
    assert found.error.startswith("NameError")


@pytest.mark.parametrize(
    ("text", "kind", "literal"),
    [
        ("1", "int", True),
        ("1", "", True),
        ("1", "m.C", False),
        ("True", "int", False),
        ("[1, {'a': (None,)}]", "list", True),
        ("<C object>", "", False),
        ("..", "", False),
        ("nan", "float", False),
        ("'" * 3, "", False),
    ],
)
def test_literals(text: str, kind: str, literal: bool) -> None:
    assert is_literal(text, kind) is literal


def test_statements_know_what_comes_next() -> None:
    found = find_statements(SOURCE)
    assert {line: (s.kind, s.then, s.otherwise) for line, s in found.items() if s.first == 1} == {
        2: ("assignment", 3, 3),
        3: ("assignment", 4, 4),
        4: ("while", 5, 10),
        5: ("augmented assignment", 6, 6),
        6: ("expression", 7, 7),
        7: ("assignment", 8, 8),
        8: ("if", 9, 4),
        9: ("return", 0, 0),
        10: ("return", 0, 0),
    }
    assert find_statements("def f(:") == {}

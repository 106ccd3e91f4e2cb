"""Single statements from given states."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits, Slot
from cwm_trace.tracer.sandbox import run_isolated
from cwm_trace.tracer.steps import Step, StepResult
from cwm_trace.tracer.supervision import Bounds
from tests.effort import examples

SOURCE = "LIMIT = 3\n\ndef double(x):\n    return 2 * x\n\ndef spin():\n    while True: pass\n"


def texts(result: StepResult) -> dict[str, str]:
    return {name: slot.text for name, slot in result.state.items()}


def test_a_batch_in_one_child() -> None:
    results = run_isolated(
        SOURCE,
        [
            Step("y = double(x)", {"x": "3"}),
            Step("x += LIMIT", {"x": "3"}),
            Step("items.append(x)", {"items": "[1]", "x": "2"}),
            Step("del x", {"x": "2", "y": "1"}),
            Step("x, *rest = items", {"items": "(1, 2, 3)"}),
            Step("double = 5", {}),
            Step("import math as m", {}),
            Step("total = sum(i * k for i in items)", {"items": "[1, 2]", "k": "3"}),
            Step("print(x)", {"x": "1"}),
        ],
    )
    assert [result.ended for result in results] == ["returned"] * 9
    assert [texts(result) for result in results] == [
        {"x": "3", "y": "6"},
        {"x": "6"},
        {"items": "[1, 2]", "x": "2"},
        {"y": "1"},
        {"items": "(1, 2, 3)", "x": "1", "rest": "[2, 3]"},
        {"double": "5"},
        {"m": results[6].state["m"].text},
        {"items": "[1, 2]", "k": "3", "total": "9"},
        {"x": "1"},
    ]


def test_expressions_have_a_value_and_a_truth() -> None:
    value, empty, walrus = run_isolated(
        SOURCE,
        [
            Step("double(x) > 4", {"x": "3"}, is_expression=True),
            Step("[]", {}, is_expression=True),
            Step("(n := x + 1) < 3", {"x": "3"}, is_expression=True),
        ],
    )
    assert (value.value, value.truth) == (Slot("True", "bool"), True)
    assert (empty.value, empty.truth) == (Slot("[]", "list", 0), False)
    assert texts(walrus) == {"x": "3", "n": "4"}


def test_steps_that_do_not_end_well_do_not_hurt_the_others() -> None:
    steps = [
        Step("1 / 0"),
        Step("x = 1", {"y": "<object object>"}),
        Step("x = ("),
        Step("spin()"),
        Step("import os; os._exit(0)"),
        Step("import os; os.kill(os.getpid(), 9)"),
        Step("import time; time.sleep(60)"),
        Step("raise SystemExit(3)"),
        Step("x = 1"),
    ]
    results = run_isolated(SOURCE, steps, bounds=Bounds(seconds=1.5), limits=Limits(max_frames=1000))
    assert [result.ended for result in results] == [
        "raised",
        "not-literal",
        "refused",
        "frame-limit",
        "killed",
        "killed",
        "timed-out",
        "raised",
        "returned",
    ]
    assert results[0].error == Slot("ZeroDivisionError('division by zero')", "ZeroDivisionError")
    assert results[0].message == "division by zero"


def test_steps_do_not_see_each_other() -> None:
    source = "seen = []\n\ndef note(x):\n    seen.append(x)\n    return len(seen)\n"
    results = run_isolated(source, [Step("n = note(1)"), Step("n = note(1)")])
    assert [texts(result) for result in results] == [{"n": "1"}, {"n": "1"}]


def test_definitions_that_cannot_be_compiled() -> None:
    with pytest.raises(CwmTraceError, match="cannot be compiled"):
        run_isolated("def f(:\n", [Step("x = 1")])


def test_definitions_that_raise() -> None:
    (result,) = run_isolated("1 / 0\n", [Step("x = 1")])
    assert result.ended == "raised"


def test_no_steps() -> None:
    assert run_isolated(SOURCE, []) == []


literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@examples(0.03)
@given(st.lists(literals, min_size=20, max_size=40))
def test_a_state_comes_back_as_it_was_given(values: list[object]) -> None:
    results = run_isolated("x = 1\n", [Step("pass", {"value": repr(value)}) for value in values])
    assert [ast.literal_eval(result.state["value"].text) for result in results] == values

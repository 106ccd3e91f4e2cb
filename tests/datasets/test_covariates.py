"""Covariates of frames, on programs small enough to count by hand."""

from __future__ import annotations

import pytest

from cwm_trace.api import trace_execution
from cwm_trace.datasets.covariates import Change, Covariates, measure_frames
from cwm_trace.datasets.families import FAMILIES, make_items
from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event
from cwm_trace.states import resolve_states


def measure(source: str, call: str) -> list[tuple[str, Covariates]]:
    """The source of each frame with its covariates, those of `main` left out."""
    trace = trace_execution(source, call=call)
    measured = measure_frames(Item("a", source, call, ""), trace)
    pairs = zip(trace.frames, measured, strict=True)
    return [(frame.source.strip(), covariates) for frame, covariates in pairs if frame.depth]


def test_a_straight_line() -> None:
    frames = measure("def f(a, b):\n    c = a + 1\n    b = 'xy'\n    return b * c\n", "f(3, 'z')")
    assert frames == [
        ("def f(a, b):", Covariates(2, 1, 2, (Change("a", "int", 2, 1), Change("b", "str", 1, 3)), {})),
        ("c = a + 1", Covariates(3, 1, 2, (), {"a": 1})),
        ("b = 'xy'", Covariates(4, 1, 3, (Change("c", "int", 3, 1),), {})),
        ("return b * c", Covariates(5, 1, 3, (Change("b", "str", 2, 4),), {"b": 0, "c": 1})),
        ("return b * c", Covariates(6, 1, 3, (), {"b": 1, "c": 2})),
    ]
    assert frames[-1][1].distance == 2
    assert frames[0][1].distance is None


def test_a_write_of_the_same_value_counts() -> None:
    frames = measure("def f(a):\n    b = 0\n    a = a\n    return a\n", "f(3)")
    assert [covariates.reads for _, covariates in frames[3:]] == [{"a": 0}, {"a": 1}]


def test_a_write_that_raises_does_not_count() -> None:
    source = (
        "def f(a):\n    try:\n        a //= 0\n    except ZeroDivisionError:\n        a += 1\n    return a\n"
    )
    frames = measure(source, "f(3)")
    reads = {text: covariates.reads for text, covariates in frames}
    assert reads["a += 1"] == {"a": 5}
    assert reads["return a"] == {"a": 1}


def test_a_change_in_place_counts_and_other_activations_do_not() -> None:
    source = "def g(n):\n    n += 1\n    return n\n\n\ndef f(xs, n):\n    xs.append(g(n))\n    return xs[n]\n"
    frames = measure(source, "f([1], 0)")
    last = next(covariates for text, covariates in frames if text == "return xs[n]")
    assert last.reads == {"xs": 0, "n": 6}
    assert last.changes == (Change("xs", "list", 2, 6),)
    assert [covariates.depth for text, covariates in frames if text == "n += 1"] == [2]


def test_a_lambda_reads_its_own_variables_when_it_runs() -> None:
    frames = measure("def f(a):\n    g = lambda x: x * a\n    return g(2)\n", "f(3)")
    reads = [sorted(covariates.reads) for text, covariates in frames if text.startswith("g = ")]
    assert reads[0] == []  # the line that makes it
    assert reads[-1] == ["a", "x"]


def test_a_deleted_variable_is_a_change_and_no_longer_live() -> None:
    frames = measure("def f(a):\n    b = a\n    del b\n    return a\n", "f(3)")
    text, covariates = frames[3]
    assert (text, covariates.live, covariates.changes) == ("return a", 1, (Change("b", "", None, 0),))


@pytest.mark.parametrize("name", FAMILIES)
def test_laws(name: str) -> None:
    for item in make_items(name, 5):
        trace = trace_execution(item.source, call=item.call or None, capture_output=True)
        measured = measure_frames(item, trace)
        states = resolve_states(trace.frames)
        assert [covariates.horizon for covariates in measured] == list(range(len(trace.frames)))
        for frame, state, covariates in zip(trace.frames, states, measured, strict=True):
            assert covariates.changed == len(frame.changed)
            assert all(distance >= 0 for distance in covariates.reads.values())
            if state is not None:
                assert covariates.live == len(state)
                assert covariates.reads.keys() <= state.keys()
            if frame.event is Event.CALL:
                assert covariates.reads == {}


def test_a_trace_of_another_program_is_refused() -> None:
    trace = trace_execution("def f():\n    return 1\n", call="f()")
    with pytest.raises(CwmTraceError, match="not one of item a"):
        measure_frames(Item("a", "def f():\n    return 2\n", "f()", ""), trace)

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Program, Slot, SourceFile, Trace
from cwm_trace.states import Activations, diff_states, edit_state, resolve_states, states_between
from tests.traces import states, traces

ONE, TWO = Slot("1", "int"), Slot("2", "int")
Steps = list[tuple[int, dict[str, Slot]]]


def frame(changed: dict[str, Slot | None], activation: int = 0, event: Event = Event.LINE) -> Frame:
    return Frame(event, 1, "pass", activation, changed=changed)


@given(states(), states())
def test_a_difference_applied_to_before_gives_after(before: dict[str, Slot], after: dict[str, Slot]) -> None:
    changed = diff_states(before, after)
    applied = {name: slot for name, slot in {**before, **changed}.items() if slot is not None}
    assert applied == after
    assert all(before.get(name) != slot for name, slot in changed.items())


@given(states())
def test_equal_states_do_not_differ(state: dict[str, Slot]) -> None:
    assert diff_states(state, dict(state)) == {}


@given(st.lists(st.tuples(st.integers(0, 2), states()), max_size=8))
def test_resolving_differences_gives_the_states_back(steps: Steps) -> None:
    chain = Activations()
    frames = [frame(chain.change(number, state), number) for number, state in steps]
    assert resolve_states(frames) == [state for _, state in steps]


@given(st.lists(st.tuples(st.integers(0, 2), states()), max_size=8))
def test_names_stand_in_the_order_of_their_first_binding(steps: Steps) -> None:
    chain, first_bound = Activations(), dict[int, list[str]]()
    for number, state in steps:
        order = first_bound.setdefault(number, [])
        order += [name for name in state if name not in order]
        chain.change(number, state)
        assert list(chain.state(number)) == [name for name in order if name in state]


@given(traces())
def test_change_and_advance_agree(trace: Trace) -> None:
    advanced, changed = Activations(), Activations()
    for each in trace.frames:
        state = advanced.advance(each)
        assert changed.change(each.activation, state) == dict(each.changed)
        assert changed.state(each.activation) == advanced.state(each.activation) == state


def test_a_name_bound_again_keeps_its_place() -> None:
    changes: list[dict[str, Slot | None]] = [{"a": ONE, "b": ONE}, {"a": None}, {"c": ONE}, {"a": TWO}]
    found = resolve_states([frame(change) for change in changes])
    assert [list(state or ()) for state in found] == [["a", "b"], ["b"], ["b", "c"], ["a", "b", "c"]]
    assert found[-1] == {"a": TWO, "b": ONE, "c": ONE}


def test_activations_do_not_see_each_other() -> None:
    assert resolve_states([frame({"a": ONE}, 0), frame({"a": TWO}, 1), frame({}, 0)]) == [
        {"a": ONE},
        {"a": TWO},
        {"a": ONE},
    ]


def test_returns_and_exceptions_show_no_state() -> None:
    frames = [frame({"a": ONE}), frame({}, event=Event.EXCEPTION), frame({}, event=Event.RETURN), frame({})]
    assert resolve_states(frames) == [{"a": ONE}, None, None, {"a": ONE}]


def test_a_state_that_was_handed_out_does_not_change() -> None:
    chain = Activations()
    state = chain.advance(frame({"a": ONE}))
    chain.advance(frame({"a": TWO}))
    assert state == {"a": ONE}
    assert chain.state(5) == {}


def test_an_edited_state_is_that_of_the_last_frame() -> None:
    call = Frame(Event.CALL, 1, "def f(a, b):", changed={"a": Slot("1"), "b": Slot("2")})
    trace = Trace(Program((SourceFile("p.py", "def f(a, b):\n    return a\n"),), "f", 1), (call,))
    edited = edit_state(trace, {"a": "5", "b": None, "c": "6"})
    assert resolve_states(edited.frames) == [{"a": Slot("5"), "c": Slot("6")}]
    assert resolve_states(trace.frames) == [{"a": Slot("1"), "b": Slot("2")}]
    with pytest.raises(CwmTraceError, match="only a CALL or LINE"):
        edit_state(replace(trace, frames=()), {})


@given(traces(), st.integers(-3, 9), st.none() | st.integers(-3, 9))
def test_states_of_a_part_are_those_of_the_whole(trace: Trace, first: int, last: int | None) -> None:
    whole = dict(enumerate(resolve_states(trace.frames)))
    indices = range(len(trace.frames))[first:last]
    assert states_between(trace.frames, first, last) == {index: whole[index] for index in indices}

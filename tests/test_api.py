"""The functions a user calls."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import cwm_trace
from cwm_trace import (
    CwmTraceError,
    Event,
    Limits,
    Outcome,
    Slot,
    Trace,
    compare_execution,
    edit_state,
    predict_execution,
    predict_step,
    record,
    resolve_states,
    trace_execution,
)

SOURCE = "def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"


def add(a: int, b: int = 1) -> int:
    return a + b


def fail() -> None:
    raise ValueError("on purpose")


def test_trace_a_function() -> None:
    trace = trace_execution(add, 2, b=3)
    assert trace.value is not None
    assert trace.value.text == "5"
    assert trace.entry == "add"
    assert trace.frames[0].event is Event.CALL
    assert {name: slot.text for name, slot in trace.frames[0].changed.items() if slot} == {"a": "2", "b": "3"}
    assert trace.files[0].name == __file__


def test_an_exception_ends_the_trace_and_goes_no_further() -> None:
    trace = trace_execution(fail)
    assert trace.outcome is Outcome.RAISED
    raised = [frame for frame in trace.frames if frame.event is Event.EXCEPTION]
    assert raised[0].value is not None
    assert raised[0].value.text == "ValueError('on purpose')"
    assert raised[0].message == "on purpose"
    assert trace.value is None


def test_trace_a_call_of_source_text_and_a_script(tmp_path: Path) -> None:
    assert trace_execution(SOURCE, call="f(4)").value == trace_execution(SOURCE + "\n", call="f(4)").value
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(sys.argv[1:])\n")
    trace = trace_execution(script, "a", 2, capture_output=True)
    assert trace.run.output == "['a', '2']\n"
    assert trace_execution("x = 1\ny = 2\n").entry == "<module>"


def test_record_as_decorator() -> None:
    recorded = record(limits=Limits(max_frames=2))(add)
    assert recorded(1) == 2
    assert recorded(5, 5) == 10
    traces: list[Trace] = recorded.traces  # type: ignore[attr-defined]
    assert [trace.outcome for trace in traces] == [Outcome.FRAME_LIMIT] * 2
    with pytest.raises(ValueError, match="on purpose"):
        record()(fail)()


def test_record_as_context_manager() -> None:
    with record() as recording:
        add(1)
        add(2)
    assert recording.trace is not None
    calls = [frame for frame in recording.trace.frames if frame.event is Event.CALL]
    assert [frame.source for frame in calls] == ["def add(a: int, b: int = 1) -> int:"] * 2
    assert recording.trace.entry == "add"


def test_predict_copies_the_state_and_goes_down_the_text() -> None:
    trace = predict_execution(SOURCE, call="f(3)", model="copy")
    assert trace.guess.mode == "free"
    assert trace.guess.given == 1
    assert [frame.event.value for frame in trace.frames] == ["call", "line", "return"]


def test_predict_never_runs_the_program(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    predict_execution(f"open({str(mark)!r}, 'w')\nx = 1\n", model="copy")
    assert not mark.exists()


def test_forced_prediction_has_the_real_frames_places() -> None:
    real = trace_execution(SOURCE, call="f(3)")
    predicted = predict_execution(SOURCE, call="f(3)", mode="forced", history=real, model="copy")
    assert len(predicted.frames) == len(real.frames)
    comparison = compare_execution(real, predicted)
    assert comparison.frame_exact.value is not None
    assert 0 < comparison.frame_exact.value < 1
    assert comparison.changed_slots.f1 == 0  # copying earns nothing


@pytest.mark.parametrize("mode", ["free", "forced"])
def test_the_oracle_is_always_right(mode: str) -> None:
    real = trace_execution(SOURCE, call="f(3)")
    comparison = compare_execution(
        real, predict_execution(SOURCE, call="f(3)", model="oracle", mode=mode, history=real)
    )
    assert comparison.frame_exact.value == comparison.state_exact.value == comparison.changed_slots.f1 == 1
    assert comparison.first_divergence is None
    assert comparison.output is True


def test_a_history_is_continued() -> None:
    real = trace_execution(SOURCE, call="f(3)")
    history = dataclasses.replace(real, frames=real.frames[:5], outcome=Outcome.INCOMPLETE)
    predicted = predict_execution(SOURCE, call="f(3)", history=history, model="copy")
    assert predicted.guess.given == 5
    assert predicted.frames[:5] == real.frames[:5]
    assert predict_execution(history, model="copy").frames == predicted.frames


def test_a_whole_trace_is_the_truth_in_every_mode() -> None:
    real = trace_execution(SOURCE, call="f(3)")
    free = predict_execution(SOURCE, call="f(3)", history=real, model="copy")
    assert (free.guess.given, free.frames) == (1, predict_execution(SOURCE, call="f(3)", model="copy").frames)
    assert (
        predict_execution(SOURCE, call="f(3)", mode="output", history=real, model="copy").frames[1].event
        is Event.RETURN
    )


def no_arguments() -> int:
    total = 1
    return total + 1


def one_argument(n: int) -> int:
    return n


def test_a_function_is_predicted_in_its_file() -> None:
    predicted = predict_execution(no_arguments, model="copy")
    assert predicted.files[0].name == __file__
    assert [frame.source.strip() for frame in predicted.frames[1:]] == [
        "total = 1",
        "return total + 1",
        "return total + 1",
    ]
    with pytest.raises(CwmTraceError, match="one_argument takes arguments"):
        predict_execution(one_argument, model="copy")
    with pytest.raises(CwmTraceError, match="no Python file"):
        predict_execution(len, model="copy")


def test_one_step_after_an_edited_history() -> None:
    real = trace_execution(SOURCE, call="f(3)")
    history = edit_state(dataclasses.replace(real, frames=real.frames[:4]), {"n": "7"})
    frame = predict_step(history, model="copy")
    assert frame is not None
    assert frame.event is Event.LINE
    state = resolve_states([*history.frames, frame])[-1]
    assert state is not None
    assert state["n"].text == "7"
    given = predict_step(history, model="copy", event="line", state={"n": "8"})
    assert given is not None
    assert given.changed["n"] == Slot("8")
    with pytest.raises(CwmTraceError, match="oracle predicts whole executions only"):
        predict_step(history, model="oracle")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"call": "f(3)", "model": "gpt"}, "there is no model 'gpt'"),
        ({"call": "f(3)", "mode": "psychic"}, "there is no mode 'psychic'"),
        ({"entry": "g"}, "no function 'g'"),
        ({"entry": "f"}, "f takes arguments"),
        ({"call": "f(3)", "mode": "forced"}, "needs the real trace"),
        ({"call": "f(3)", "model": "oracle"}, "needs the real trace"),
    ],
)
def test_what_cannot_be_predicted(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CwmTraceError, match=sentence):
        predict_execution(SOURCE, **{"model": "copy", **arguments})


def test_a_history_of_another_program() -> None:
    other = trace_execution("def f(n):\n    return n\n", call="f(3)")
    with pytest.raises(CwmTraceError, match="another program"):
        predict_execution(SOURCE, call="f(3)", history=other, model="copy")


def test_an_unknown_equality() -> None:
    real = trace_execution(SOURCE, call="f(3)")
    with pytest.raises(CwmTraceError, match="no equality 'close'"):
        compare_execution(real, real, equality="close")


def test_everything_public_can_be_imported_and_is_listed() -> None:
    for name in cwm_trace.__all__:
        assert getattr(cwm_trace, name) is not None
    assert set(cwm_trace.__all__) <= set(dir(cwm_trace))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cwm_trace.nothing  # noqa: B018

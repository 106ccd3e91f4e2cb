"""Programs that break tracers: each runs as it does untraced, and its trace says what happened."""

import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace import Trace, trace_execution
from tests.effort import HANGS
from tests.tracer.both import RECORDERS, use
from tests.tracer.oracle import watch

HAZARDS = Path(__file__).resolve().parent / "hazards"
BEFORE_3_13 = sys.version_info < (3, 13)
IS_3_12 = sys.version_info[:2] == (3, 12)

CHANGED_BY_ANY_TRACER = {"repr_locks", "repr_counts"}
CHANGED_BY_A_PYTHON_TRACER = (
    {"closure_and_thread", "held_locals", "iterated_locals", "dropped_and_asked"} if BEFORE_3_13 else set()
)
"""Programs that docs/tracer-limits.md explains; tests of their own say what happens instead."""


def names() -> list[str]:
    return sorted(path.stem for path in HAZARDS.glob("*.py"))


def record(name: str, recorder: str = "python") -> Trace:
    with use(recorder):
        return trace_execution(HAZARDS / f"{name}.py", capture_output=True)


def texts(trace: Trace, variable: str) -> list[str | None]:
    """The texts that a variable had, one after the other; None where it was unbound."""
    slots = [frame.changed[variable] for frame in trace.frames if variable in frame.changed]
    return [None if slot is None else slot.text for slot in slots]


@pytest.mark.parametrize("name", [name for name in names() if name not in CHANGED_BY_ANY_TRACER])
@pytest.mark.parametrize("recorder", RECORDERS)
def test_a_traced_hazard_behaves_as_an_untraced_one(name: str, recorder: str) -> None:
    if recorder == "python" and name in CHANGED_BY_A_PYTHON_TRACER:
        pytest.skip("a tracer in Python changes it")
    trace = record(name, recorder)
    plain = watch(HAZARDS / f"{name}.py", traced=False)
    assert (trace.run.output, trace.outcome.value, trace.run.exit_code) == (plain.output, "returned", 0)
    assert plain.ending == "returned"
    if name != "caught_recursion":
        assert bool(trace.warnings) == (name == "own_settrace" and recorder == "python")


def test_a_change_through_another_name_is_seen() -> None:
    trace = record("aliased_list")
    assert texts(trace, "a") == ["[1]", "[1, 2]", "[3, 2]"]
    assert texts(trace, "b") == ["[1]", "[1, 2]", "[3, 2]", "None"]


@pytest.mark.parametrize("recorder", RECORDERS)
def test_variables_beside_a_comprehension_that_has_the_place_of_a_cell(recorder: str) -> None:
    """3.13 takes what the comprehension has there for a cell, and crashes where `f_locals` is read."""
    trace = record("borrowed_cell_outside", recorder)
    assert texts(trace, "plain")[0] == "[0, 1, 2]"
    assert "[1, 2]" in texts(trace, "plain")
    assert texts(trace, "odd")[-1] == "[False, True, True]"
    assert texts(trace, "end") == ["[2, 2, 2]"]


@pytest.mark.parametrize("recorder", RECORDERS)
def test_a_value_that_is_a_cell_is_shown_as_one(recorder: str) -> None:
    trace = record("cell_values", recorder)
    shown = {text for name in ("cell", "one") for text in texts(trace, name)}
    assert "<cell: int object>" in shown
    assert not {"3", "4"} & shown


def test_a_big_value_is_written_once() -> None:
    trace = record("big_value")
    assert [len(text or "") for text in texts(trace, "text")] == [3_000_002]
    assert texts(trace, "total")[-1] == str(sum(range(200)))


def test_what_another_thread_sets_while_a_step_is_recorded() -> None:
    assert record("closure_and_thread", "python").run.output == ("0\n" if BEFORE_3_13 else "1\n")


def test_equality_of_the_program_is_not_asked() -> None:
    assert texts(record("odd_equality"), "v") == ["Vague1", "Vague2"]


def test_cycles_are_shown_as_repr_shows_them() -> None:
    trace = record("cyclic_value")
    assert texts(trace, "a") == ["[1]", "[1, [...]]"]
    assert texts(trace, "both") == ["[[1, [...]], {'d': {...}}]"]


def test_a_value_too_deep_for_repr_says_so() -> None:
    trace = record("deep_value")
    text, *_ = texts(trace, "x")
    assert text == "<unrepresentable list: RecursionError>"
    assert texts(trace, "y") == ["1"]


def test_a_deleted_name_is_unbound() -> None:
    assert texts(record("deleted_name"), "x") == ["1", None]


def test_an_int_too_long_for_repr_is_hexadecimal() -> None:
    trace = record("huge_int")
    assert texts(trace, "x") == [hex(10**5000)]
    assert texts(trace, "y") == ["<unrepresentable list: ValueError>"]


def test_a_dropped_object_is_seen_to_go() -> None:
    trace = record("finalizer_order")
    assert texts(trace, "seen") == ["['first', 'after first', 'second', 'end']"]
    assert texts(trace, "g") == ["<__main__.Handle object>", None]


def test_a_handled_exception_is_seen_on_its_way() -> None:
    trace = record("handled_exception")
    assert texts(trace, "error") == ["KeyError(1)", None]
    raised = [(frame.depth, frame.message) for frame in trace.frames if frame.event.value == "exception"]
    assert raised == [(2, "1"), (1, "1")]


def test_activations_of_one_generator_are_kept_apart() -> None:
    trace = record("interleaved_generators")
    here = {
        number: [
            slot.text
            for frame in trace.frames
            if frame.activation == number
            for slot in [frame.changed.get("here")]
            if slot
        ]
        for number in (2, 3)
    }
    assert here == {2: ["10", "11", "12"], 3: ["20", "21"]}


def test_an_object_is_unrepresentable_until_it_is_ready() -> None:
    trace = record("repr_in_init")
    assert texts(trace, "self") == ["<unrepresentable Node: AttributeError>", "Node(41)"]


def test_changes_in_place_are_seen() -> None:
    trace = record("in_place_change")
    assert texts(trace, "a") == ["[1]", "[1, 2]"]
    assert texts(trace, "d") == ["{'k': [1]}", "{'k': [1, 3]}"]


def test_a_held_locals_dict_follows_the_variables_before_3_13() -> None:
    names = ["d", "x", "y"] if BEFORE_3_13 else ["x"]
    assert record("held_locals", "python").run.output == f"{names}\n"


def test_a_loop_over_locals_fails_before_3_13() -> None:
    trace = record("iterated_locals", "python")
    if BEFORE_3_13:
        assert trace.outcome.value == "raised"
        errors = [frame.message for frame in trace.frames if frame.event.value == "exception"]
        assert errors == ["dictionary changed size during iteration"] * 2
    else:
        assert trace.run.output == "['a', 'b', 'names']\n"


def test_a_change_far_inside_a_value_is_seen() -> None:
    first, second = texts(record("long_list"), "a")
    assert first is not None
    assert second == first.replace(" 4000,", " -1,")


def test_a_nan_does_not_change() -> None:
    assert texts(record("not_a_number"), "n") == ["nan"]


def test_equal_values_of_other_types_and_signs_are_changes() -> None:
    assert texts(record("equal_rebinding"), "x") == ["1", "True", "1.0", "-0.0", "0.0"]


def test_a_caught_recursion_error_ends_the_recording_with_a_warning() -> None:
    trace = record("caught_recursion", "python")
    assert trace.run.output == "finished\n"
    assert "RecursionError" in trace.warnings[0]
    assert texts(trace, "after") == []
    assert max(frame.depth for frame in trace.frames) > 100


@pytest.mark.parametrize("recorder", RECORDERS)
def test_the_traceback_of_a_recursion_error_has_no_frame_of_ours(tmp_path: Path, recorder: str) -> None:
    path = tmp_path / "deep.py"
    path.write_text(
        "import traceback\ndef f(n):\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError as error:\n"
        "    names = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}\n"
        "    print(names == {__file__}, names)\n"
    )
    with use(recorder):
        trace = trace_execution(path, capture_output=True)
    assert trace.run.output is not None
    assert trace.run.output.startswith("True")


def test_an_exit_in_repr_stays_there() -> None:
    assert texts(record("repr_exits"), "c") == ["<unrepresentable Exit: SystemExit>"]


def test_a_repr_with_side_effects_is_called() -> None:
    trace = record("repr_counts")
    assert trace.outcome.value == "returned"
    assert trace.run.output == "3\n"  # 0 untraced


def test_a_repr_without_end_says_so() -> None:
    trace = record("repr_recurses")
    assert texts(trace, "c") == ["<unrepresentable Loop: RecursionError>"]
    assert texts(trace, "a") == ["1"]


def test_text_that_is_no_unicode_is_escaped() -> None:
    trace = record("lone_surrogate")
    assert texts(trace, "s") == [r"'\ud800abc'"]
    assert texts(trace, "o") == [r"odd\ud800"]


def test_what_another_thread_changes_is_seen() -> None:
    trace = record("other_thread")
    assert texts(trace, "seen") == ["[1]"]


def test_a_program_that_removes_the_trace_function_is_warned_about() -> None:
    trace = record("own_settrace")
    assert "the trace function was replaced" in trace.warnings[0]
    assert texts(trace, "a") == ["1"]


def test_another_type_of_the_same_text_is_a_change() -> None:
    slots = [frame.changed["x"] for frame in record("same_text").frames if "x" in frame.changed]
    assert [slot.type for slot in slots if slot] == ["__main__.One", "int"]


def test_a_dropped_object_stays_until_the_next_event_before_3_13() -> None:
    assert record("dropped_and_asked", "python").run.output == f"{not BEFORE_3_13}\n"


def run_locked(limits: str, patience: float = HANGS) -> str:
    """The outcome of the program whose `__repr__` needs a lock it holds, in a process of its own."""
    path = str(HAZARDS / "repr_locks.py")
    code = f"""
from cwm_trace import Limits, trace_execution
print(trace_execution({path!r}, limits=Limits({limits}), capture_output=True).outcome.value)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        timeout=patience,
        capture_output=True,
        text=True,
        cwd=HAZARDS.parents[2],
        check=True,
    )
    return done.stdout.strip()


def test_a_repr_that_needs_a_held_lock_waits_for_ever() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_locked("", patience=2.5)


def test_a_time_limit_ends_a_repr_that_waits() -> None:
    assert run_locked("timeout=0.3") == "timed-out"

"""What is recorded of a run, under which limits, and how a run ends."""

from __future__ import annotations

import signal
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, FrameFields, Limits, Outcome, SourceFile, Trace
from cwm_trace.states import resolve_states
from cwm_trace.tracer.calls import record_call
from cwm_trace.tracer.program import load_call, load_code
from cwm_trace.tracer.session import Ending, Memory, Options, record_program
from tests.tracer.both import RECORDERS, use

LOOP = """
total = 0
for index in range(100):
    total += index
print(total)
"""


def record(
    code: str, options: Options = Options(), *, entry: str | None = None, call: str | None = None
) -> tuple[Trace, Ending]:
    sink = Memory()
    text = textwrap.dedent(code)
    program = load_code(text) if call is None else load_call(text, call)
    ending = record_program(program, sink, options, entry=entry)
    return sink.trace, ending


def events(trace: Trace) -> list[str]:
    return [f"{frame.event.value} {frame.line}" for frame in trace.frames]


def test_a_script_is_one_module_activation_without_its_machinery() -> None:
    trace, _ = record("import os\n\nclass A:\n    pass\n\ndef f():\n    pass\n\nx = 1\nf()\n")
    assert trace.entry == "<module>"
    assert {frame.activation for frame in trace.frames if frame.depth == 0} == {0}
    last = resolve_states(trace.frames)[-2]
    assert trace.frames[-1].event is Event.RETURN
    assert {frame.source for frame in trace.frames} >= {"x = 1", "f()"}
    assert last is None or set(last) <= {"x"}


def test_a_call_is_the_trace_of_main() -> None:
    trace, ending = record("def f(x):\n    y = x + 1\n    return y\n", call="f(2)")
    assert events(trace) == [
        "call 4",
        "line 5",
        "call 1",
        "line 2",
        "line 3",
        "return 3",
        "return 5",
    ]
    assert trace.value is not None
    assert trace.value.text == "3"
    assert trace.outcome is Outcome.RETURNED
    assert ending.frames == 7
    assert ending.trace.run.exit_code is None


def test_the_entry_is_its_first_call_to_its_return() -> None:
    code = """
    def helper():
        return 1
    def f(n):
        return helper() + n
    helper()
    f(1)
    f(2)
    """
    trace, _ = record(code, entry="f")
    assert [frame.source.strip() for frame in trace.frames if frame.event is Event.CALL] == [
        "def f(n):",
        "def helper():",
    ]
    assert trace.outcome is Outcome.RETURNED
    assert trace.entry_line == 4


def test_an_entry_that_is_a_generator_ends_when_it_is_exhausted() -> None:
    trace, _ = record("def f():\n    yield 1\n    yield 2\nlist(f())\nx = 3\n", entry="f")
    assert [frame.value and frame.value.text for frame in trace.frames if frame.event is Event.RETURN] == [
        "1",
        "2",
        "None",
    ]


def test_an_entry_that_is_never_called() -> None:
    trace, _ = record("def f():\n    pass\n", entry="f")
    assert trace.frames == ()
    assert trace.warnings == ("f was never called: nothing was recorded",)


@pytest.mark.parametrize(
    ("ending", "outcome", "exit_code"),
    [
        ("pass", Outcome.RETURNED, 0),
        ("raise ValueError", Outcome.RAISED, 1),
        ("raise SystemExit", Outcome.EXITED, 0),
        ("raise SystemExit(7)", Outcome.EXITED, 7),
        ("raise SystemExit('why')", Outcome.EXITED, 1),
        ("raise KeyboardInterrupt", Outcome.KILLED, 130),
    ],
)
def test_how_a_program_ends(ending: str, outcome: Outcome, exit_code: int) -> None:
    trace, _ = record(f"x = 1\n{ending}\n")
    assert (trace.outcome, trace.run.exit_code) == (outcome, exit_code)


def test_the_frame_limit_stops_the_recording_not_the_program() -> None:
    trace, _ = record(LOOP, Options(limits=Limits(max_frames=10), capture_output=True))
    assert len(trace.frames) == 10
    assert trace.outcome is Outcome.FRAME_LIMIT
    assert (trace.run.output, trace.run.exit_code) == ("4950\n", 0)


def test_the_byte_limit_stops_the_recording_not_the_program() -> None:
    code = "x = ''\nfor _ in range(20):\n    x += 'ab' * 50\nprint(len(x))\n"
    trace, _ = record(code, Options(limits=Limits(max_bytes=1000), capture_output=True))
    assert trace.outcome is Outcome.BYTE_LIMIT
    assert trace.run.output == "2000\n"


def test_bytes_are_those_that_are_recorded_not_those_that_are_clipped() -> None:
    limits = Limits(max_bytes=500, max_value_chars=10)
    trace, _ = record("x = 'a' * 1000\nfor n in range(5):\n    x += 'b'\n", Options(limits=limits))
    assert trace.outcome is Outcome.RETURNED


def test_clipped_values_are_counted() -> None:
    trace, _ = record("x = 'a' * 100\ny = 1\nz = 2\n", Options(limits=Limits(max_value_chars=10)))
    slots = [slot for frame in trace.frames for slot in frame.changed.values()]
    assert [slot and slot.clipped for slot in slots] == [92, 0]


def test_a_change_beyond_the_clip_is_seen() -> None:
    code = "x = list(range(100))\nx[90] = 0\ny = 1\n"
    trace, _ = record(code, Options(limits=Limits(max_value_chars=10)))
    assert ["x" in frame.changed for frame in trace.frames] == [False, False, True, True, False]


def test_deeper_calls_are_stepped_over_and_counted() -> None:
    code = "def f(n):\n    return n if n == 0 else f(n - 1)\nf(5)\n"
    trace, _ = record(code, Options(limits=Limits(max_depth=2)))
    assert max(frame.depth for frame in trace.frames) == 2
    assert trace.run.skipped == 4


def test_a_time_limit_in_another_thread_is_refused_before_anything_runs() -> None:
    """It was once taken for an exception of the program: a trace without frames, and no word about it."""
    refused: list[Exception] = []

    def attempt() -> None:
        try:
            record("print('ran')\n", Options(limits=Limits(timeout=5.0)))
        except CwmTraceError as error:
            refused.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "main thread" in str(refused[0])


def test_the_timeout_interrupts_the_program() -> None:
    trace, ending = record("while True:\n    pass\n", Options(limits=Limits(timeout=0.2)))
    assert trace.outcome is Outcome.TIMED_OUT
    assert "longer than 0.2 seconds" in str(ending.error)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_program_that_catches_everything_still_times_out() -> None:
    code = "import time\ntry:\n    time.sleep(9)\nexcept BaseException:\n    pass\n"
    trace, ending = record(code, Options(limits=Limits(timeout=0.2)))
    assert ending.error is None
    assert trace.outcome is Outcome.RETURNED


def test_the_previous_trace_function_is_put_back() -> None:
    def mine(*_: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(mine)
    try:
        record("x = 1\n")
        assert sys.gettrace() is mine
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    ("recorder", "function"), [("python", "None"), *((each, "lambda *_: None") for each in RECORDERS)]
)
def test_a_program_that_removes_the_trace_function_is_noticed(recorder: str, function: str) -> None:
    with use(recorder):
        trace, _ = record(f"import sys\nx = 1\nsys.settrace({function})\ny = 2\nsys.settrace(None)\n")
    assert len(trace.warnings) == 1
    assert "was replaced" in trace.warnings[0]


class FullDisk(Memory):
    """A sink that takes three frames and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 3
        keep = self.frame

        def frame(fields: FrameFields) -> None:
            if self.room == 0:
                raise OSError(28, "No space left on device")
            self.room -= 1
            keep(fields)

        self.frame: Callable[[FrameFields], None] = frame


def test_a_sink_that_fails_does_not_reach_the_program() -> None:
    program = load_code("x = 1\ny = 2\nz = 3\nraise SystemExit(4)\n")
    ending = record_program(program, FullDisk())
    assert ending.failure is not None
    assert (ending.trace.outcome, ending.trace.run.exit_code) == (Outcome.INCOMPLETE, 4)


def test_further_files_are_added_when_their_code_first_runs(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sibling_module.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.chdir(tmp_path)
    trace, _ = record("import sibling_module\nx = sibling_module.double(4)\n")
    monkeypatch.delitem(sys.modules, "sibling_module")
    assert [file.name for file in trace.files] == ["<string>", str(tmp_path / "sibling_module.py")]
    inside = [frame for frame in trace.frames if frame.file == 1 and frame.event is Event.LINE]
    assert inside[-1].source == "    return 2 * x"


def test_functions_without_python_code() -> None:
    with pytest.raises(CwmTraceError, match="no Python code"):
        record_call(len, ([],), {}, Memory())


def test_callable_objects_and_decorated_functions() -> None:
    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

    sink = Memory()
    ending = record_call(Adder(), (1,), {}, sink)
    assert ending.value == 2
    assert [frame.event for frame in sink.trace.frames] == [Event.CALL, Event.LINE, Event.RETURN]


def test_sources_come_before_their_first_frame() -> None:
    order: list[str] = []

    class Order(Memory):
        def header(self, trace: Trace) -> None:
            order.append("header")

        def file(self, file: SourceFile) -> None:
            order.append("file")

        def footer(self, trace: Trace) -> None:
            order.append("footer")

    sink = Order()
    sink.frame = lambda _: order.append("frame")
    record_program(load_code("x = 1\n"), sink)
    assert order == ["header", "frame", "frame", "frame", "footer"]

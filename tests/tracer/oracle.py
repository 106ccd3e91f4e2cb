"""Independent accounts of what happens in a program: `settrace` at its plainest, and `sys.monitoring`."""

from __future__ import annotations

import gc
import io
import os
import re
import runpy
import sys
from contextlib import redirect_stdout
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from tests.tracer.goldens import alone

_SUSPENDS = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Step(NamedTuple):
    """One event: what and where, of which activation and how deep, and the values that go with it.

    `locals` are those of a CALL or LINE in a function; `value` is what a RETURN or EXCEPTION has.
    """

    event: str
    line: int
    file: str
    activation: int
    depth: int
    locals: dict[str, str] | None = None
    value: str | None = None


class Oracle:
    """Notes every event of the code of one folder; with `locals` the variables as well."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder) + os.sep
        self.steps: list[Step] = []
        self.codes: list[CodeType] = []
        self.left: dict[int, Step] = {}
        self.running: set[int] = set()
        """The ids of the frames that were called and have not returned since."""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not self.is_user(frame):
            return None
        if frame.f_trace is None:  # else it is a generator that goes on: the frame still has its function
            number = len(self.codes)
            self.codes.append(frame.f_code)
            frame.f_trace = lambda *details: self.note(number, *details)
        frame.f_trace(frame, event, arg)
        return frame.f_trace

    def note(self, number: int, frame: FrameType, event: str, arg: Any) -> None:
        """Note an event; 3.11 tells of no call where an exception was thrown into a suspended frame."""
        self.running.add(id(frame))
        left = self.left.pop(number, None)
        if left is not None and event != "call":
            self.steps.append(left._replace(event="call", value=None, depth=_depth(self, frame)))
        # up to 3.12 a look at the variables drops what they no longer name: none where nothing is shown
        is_last = event == "return" and not frame.f_code.co_flags & _SUSPENDS
        value = arg if event == "return" else arg[1] if event == "exception" else None
        step = Step(
            event,
            frame.f_lineno or 0,
            os.path.basename(frame.f_code.co_filename),
            number,
            _depth(self, frame),
            _locals(frame) if _is_function(frame.f_code) and not is_last else None,
            _text(value) if event in ("return", "exception") else None,
        )
        if event == "return":
            self.left[number] = step
            self.running.discard(id(frame))
        self.steps.append(step if event in ("call", "line") else step._replace(locals=None))

    def is_user(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(self.folder)


class Exits:
    """Notes how activations are left, as PEP 669 tells it: `settrace` has None for an exception as well."""

    TOOL = 4

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder) + os.sep
        self.exits: list[str] = []

    def note(self, code: CodeType, _offset: int, value: Any) -> None:
        if code.co_filename.startswith(self.folder):
            self.exits.append(_text(value))

    def note_raised(self, code: CodeType, offset: int, _error: Any) -> None:
        if code.co_filename.startswith(self.folder):
            self.exits.append("raised")

    def start(self) -> None:
        monitoring: Any = vars(sys)["monitoring"]
        events = monitoring.events
        monitoring.use_tool_id(self.TOOL, "exits")
        for event in (events.PY_RETURN, events.PY_YIELD):
            monitoring.register_callback(self.TOOL, event, self.note)
        monitoring.register_callback(self.TOOL, events.PY_UNWIND, self.note_raised)
        monitoring.set_events(self.TOOL, events.PY_RETURN | events.PY_YIELD | events.PY_UNWIND)

    def stop(self) -> None:
        monitoring: Any = vars(sys)["monitoring"]
        monitoring.set_events(self.TOOL, 0)
        monitoring.free_tool_id(self.TOOL)


class Watched(NamedTuple):
    """A run of a script: what it wrote, how it ended, and what the oracle saw, if it looked."""

    output: str
    ending: str
    steps: list[Step]
    codes: list[CodeType]


def watch(path: Path, *, traced: bool) -> Watched:
    """Run a script as `__main__` in this process."""
    oracle, output, ending = Oracle(path.parent), io.StringIO(), "returned"
    argv, search, sys.argv = sys.argv, sys.path[:], [str(path)]
    sys.path.insert(0, str(path.parent))
    previous = sys.gettrace()
    try:
        with alone(), redirect_stdout(output):
            sys.settrace(oracle if traced else None)
            try:
                runpy.run_path(str(path), run_name="__main__")
            finally:
                sys.settrace(previous)
    except BaseException as error:
        ending = f"{type(error).__name__} {error}"
    finally:
        sys.argv, sys.path[:] = argv, search
    return Watched(output.getvalue(), ending, oracle.steps, oracle.codes)


def _depth(oracle: Oracle, frame: FrameType) -> int:
    """How many frames below are the user's and were called.

    `throw` goes straight to the innermost generator: those that delegate to it stand below it on the
    interpreter's stack, but go on, and so are called, only when it has returned.
    """
    return sum(oracle.is_user(below) and id(below) in oracle.running for below in _below(frame))


def _below(frame: FrameType) -> list[FrameType]:
    frames: list[FrameType] = []
    back = frame.f_back
    while back is not None:
        frames.append(back)
        back = back.f_back
    return frames


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & 1)  # CO_OPTIMIZED: neither a module nor a class body


def _locals(frame: FrameType) -> dict[str, str]:
    return {name: _text(value) for name, value in frame.f_locals.items()}


def _text(value: Any) -> str:
    if type(value).__name__ == "async_generator_wrapped_value":
        (value,) = gc.get_referents(value)
    try:
        text = repr(value)
    except Exception as error:
        return f"<unrepresentable {type(value).__name__}: {type(error).__name__}>"
    return "<..>" if text == ".." else _ADDRESS.sub("", text)  # FORMAT.md: `..` means unchanged

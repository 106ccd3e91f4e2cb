"""Code without a file: the user's is recorded, a library's is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cwm_trace import Event, read_trace, trace_execution
from tests.effort import HANGS

DATACLASS = """
from dataclasses import dataclass
from collections import namedtuple

@dataclass
class Point:
    x: int

Pair = namedtuple("Pair", "a b")
p = Point(1)
q = Pair(p, 2)
"""

EXEC = """
text = "def double(x):\\n    y = 2 * x\\n    return y\\n"
space = {}
exec(text, space)
four = space["double"](2)
five = eval("four + 1")
six = eval(compile("five + 1", "<formula>", "eval"))
"""


def test_generated_methods_are_not_the_programs() -> None:
    trace = trace_execution(DATACLASS)
    assert {frame.source for frame in trace.frames} <= {"", *DATACLASS.split("\n")}
    calls = [frame.source for frame in trace.frames if frame.event is Event.CALL]
    assert len(calls) == 2  # the module and the class body


def test_what_the_program_gives_to_exec_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(EXEC)
    subprocess.run(
        [sys.executable, "-m", "cwm_trace", "run", "-q", "program.py"],
        cwd=tmp_path,
        timeout=HANGS,
        check=True,
    )
    trace = read_trace(tmp_path / "program.trace.jsonl")
    assert [(file.name, file.text) for file in trace.files[1:]] == [
        ("<string>", "def double(x):\n    y = 2 * x\n    return y\n"),
        ("<string>", "four + 1"),
        ("<formula>", "five + 1"),
    ]
    inside = [frame for frame in trace.frames if frame.file == 1]
    assert [frame.source for frame in inside][-2:] == ["    return y", "    return y"]
    assert inside[-1].value is not None
    assert inside[-1].value.text == "4"


def test_in_a_shared_process_its_text_is_not_known() -> None:
    trace = trace_execution(EXEC)
    assert ("<string>", "") in [(file.name, file.text) for file in trace.files]
    assert any(frame.file == 1 and frame.line == 2 for frame in trace.frames)

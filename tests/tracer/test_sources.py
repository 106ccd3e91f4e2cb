"""Code without a file: the user's is recorded, a library's is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cwm_trace import Event, SourceFile, Trace, read_trace, record, trace_execution
from cwm_trace.tracer.scope import Scope
from cwm_trace.tracer.sources import Sources
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


def traced(folder: Path, program: str) -> Trace:
    """The trace of a program in a process of its own, where what is compiled is heard."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "cwm_trace", "run", "-q", "program.py"]
    subprocess.run(command, cwd=folder, timeout=HANGS, check=True)
    return read_trace(folder / "program.trace.jsonl")


def returns(trace: Trace, function: str) -> list[tuple[str, str]]:
    """Source line and value of the RETURN of every call of a function."""
    named = [frame for frame in trace.frames if frame.source.startswith(f"def {function}(")]
    modules = {frame.activation for frame in named if frame.event is Event.LINE}
    inside = {frame.activation for frame in named} - modules
    return [
        (frame.source.strip(), frame.value.text if frame.value else "")
        for frame in trace.frames
        if frame.event is Event.RETURN and frame.activation in inside
    ]


RELOAD = """
import importlib, os
with open("part.py", "w") as file:
    file.write("def f():\\n    return 'one'\\n")
import part
old = part.f
old()
with open("part.py", "w") as file:
    file.write("# changed\\n\\ndef f():\\n    x = 'two'\\n    return x\\n")
os.utime("part.py", (1, 1))
importlib.reload(part)
part.f()
old()
"""


def test_a_reloaded_module_is_another_source_file(tmp_path: Path) -> None:
    trace = traced(tmp_path, RELOAD)
    assert returns(trace, "f") == [
        ("return 'one'", "'one'"),
        ("return x", "'two'"),
        ("return 'one'", "'one'"),
    ]
    assert [file.name for file in trace.files[1:]] == [str(tmp_path / "part.py")] * 2


def test_a_reloaded_module_in_a_shared_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "program.py").write_text(RELOAD)
    trace = trace_execution("program.py")
    monkeypatch.delitem(sys.modules, "part")
    assert [source for source, _ in returns(trace, "f")] == ["return 'one'", "return x", "return 'one'"]


ENGINE = """
def render(name):
    text = "def root(n):\\n    total = 0\\n    for i in range(n):\\n        total += i\\n    return total\\n"
    space = {}
    exec(compile(text, name, "exec"), space)
    return space["root"](3)

class Loader:
    def __init__(self, text):
        self.text = text

    def get_source(self, name):
        return self.text

    def load_module(self, name):
        raise ImportError

def render_with_a_loader(name):
    text = "made = 1\\n\\ndef root(n):\\n    return made + n\\n"
    space = {"__name__": name.replace(".", "_"), "__loader__": Loader(text)}
    exec(compile(text, name, "exec"), space)
    return space["root"](3)
"""


@pytest.mark.parametrize("how", ["heard", "shared"])
def test_code_that_a_library_makes_is_not_of_the_file_it_names(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "engine.py").write_text(ENGINE)
    (tmp_path / "page.html").write_text("<p>\n{{ n }}\n</p>\n\n\n")
    (tmp_path / "other.py").write_text("x = 1\n\ndef root(k):\n    pass\n")
    program = (
        "import sys\nsys.path.insert(0, 'site-packages')\nimport engine\n"
        "def build(name):\n    return engine.render(name)\n"
        "build('page.html')\nbuild('other.py')\nbuild('nowhere.py')\n"
        "engine.render_with_a_loader('memory:1')\n"
    )
    monkeypatch.chdir(tmp_path)
    if how == "heard":
        trace = traced(tmp_path, program)
    else:
        (tmp_path / "program.py").write_text(program)
        trace = trace_execution("program.py")
        monkeypatch.delitem(sys.modules, "engine")
    assert len(trace.files) == 1
    assert len(returns(trace, "build")) == 3


NAMES = """
def run(text, name):
    space = {}
    exec(compile(text, name, "exec"), space)
    return space["q"]()

run("def q():\\n    return 7\\n", "made_up.py")
run("\\ndef q():\\n    return 8\\n", __file__)
both = [compile(f"def q():\\n    return {n}\\n", "same.py", "exec") for n in (1, 2)]
for code in both:
    space = {}
    exec(code, space)
    space["q"]()
"""


def test_exec_under_any_name_shows_its_own_text(tmp_path: Path) -> None:
    expected = [("return 7", "7"), ("return 8", "8"), ("return 1", "1"), ("return 2", "2")]
    assert returns(traced(tmp_path, NAMES), "q") == expected


def test_exec_under_a_files_name_in_a_shared_process_shows_nothing_false() -> None:
    trace = trace_execution(NAMES.replace("__file__", repr(__file__)))
    inside = [frame for frame in trace.frames if frame.file != 0]
    assert {frame.source for frame in inside} == {""}
    values = [frame.value.text for frame in inside if frame.event is Event.RETURN and frame.value]
    assert [value for value in values if value != "None"] == ["7", "8", "1", "2"]


CELLS = """
import linecache
spaces = {"__name__": "__main__"}
def cell(number, text):
    name = f"/nowhere/cell_{number}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), spaces)
cell(1, "def square(x):\\n    return x * x\\n")
cell(2, "def helper(a):\\n    b = square(a)\\n    return b\\n")
cell(3, '''from cwm_trace import record, trace_execution
trace = trace_execution(helper, 2)
print([frame.source.strip() for frame in trace.frames])
with record() as recording:
    helper(3)
print(len(recording.trace.frames), recording.trace.warnings)
''')
"""


def test_other_cells_are_the_users_code(tmp_path: Path) -> None:
    (tmp_path / "notebook.py").write_text(CELLS)
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        timeout=HANGS,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = ["def helper(a):", "b = square(a)", "def square(x):", "return x * x", "return x * x", "return b"]
    assert done.stdout == f"{[*lines, 'return b']}\n7 ()\n"


def test_where_nothing_was_recorded_it_is_said_why() -> None:
    import json

    with record(exclude=["*"]) as recording:
        json.dumps({"a": [1]}, indent=1)
    assert recording.trace is not None
    (warning,) = recording.trace.warnings
    assert warning.startswith("nothing was recorded: what ran is not the user's code: ")
    with record() as recording:
        json.dumps({"a": [1]}, indent=1)
    assert recording.trace is not None
    (warning,) = recording.trace.warnings
    assert f"{json.__file__} (of the standard library)" in warning


def test_a_file_has_one_number_whatever_comes_behind_its_line() -> None:
    """An exception that another thread sends while the line is written is met when it is written."""
    added: list[SourceFile] = []

    def add(file: SourceFile) -> None:
        added.append(file)
        if len(added) == 1:
            raise KeyError("sent")

    sources = Sources(Scope(__file__, str(Path(__file__).parent)), add)
    frame = sys._getframe()
    with pytest.raises(KeyError, match="sent"):
        sources.find(frame, run_by_user=True)
    assert sources.find(frame, run_by_user=True) == 0
    assert len(added) == 1

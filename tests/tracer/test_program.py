"""Programs as Python would run them, and sentences for what cannot be run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cwm_trace import read_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.program import (
    find_function,
    load_call,
    load_code,
    load_folder,
    load_module,
    load_script,
    read_source,
    surroundings,
)
from tests.effort import HANGS
from tests.tracer.stacks import check_stacks


def write(folder: Path, data: bytes | str, name: str = "program.py") -> str:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"\n  \n", "is empty"),
        (b"x = (", "line 1 cannot be compiled: '(' was never closed"),
        (b"x = 1\n  y = 2\n", "line 2 cannot be compiled"),
        (b"\xff\xfe\x00", "is not Python source"),
        (b"# coding: nonsense\nx = 1\n", "is not Python source: unknown encoding"),
        (b"x = 1\0\n", "null bytes"),
    ],
)
def test_what_cannot_be_compiled(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(CwmTraceError, match=r"program\.py") as raised:
        load_script(write(tmp_path, data))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="No such file"):
        load_script(str(tmp_path / "missing.py"))
    with pytest.raises(CwmTraceError, match="is a directory"):
        load_script(str(tmp_path))
    with pytest.raises(CwmTraceError, match="cannot read"):
        load_script("a\0b.py")


def test_the_encoding_cookie_and_line_endings_are_pythons(tmp_path: Path) -> None:
    path = write(tmp_path, "# coding: latin-1\r\nx = 'é'\r\n".encode("latin-1"))
    assert read_source(path) == "# coding: latin-1\nx = 'é'\n"
    assert load_script(path).source.text == "# coding: latin-1\nx = 'é'\n"


def test_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_package"
    package.mkdir()
    write(package, "x = 1\n", "__init__.py")
    write(package, "print(__name__, __package__)\n", "__main__.py")
    monkeypatch.chdir(tmp_path)
    assert load_module("some_package").source.name == str(package / "__main__.py")
    with pytest.raises(CwmTraceError, match="no module 'no_such_module'"):
        load_module("no_such_module")
    with pytest.raises(CwmTraceError, match="no Python source"):
        load_module("sys")
    with pytest.raises(CwmTraceError, match="cannot find module"):
        load_module("json.nothing.here")


def test_a_call_is_an_argument_less_main() -> None:
    runnable = load_call("def f(x):\n    return x", "f(3)")
    assert runnable.source.text == "def f(x):\n    return x\ndef main():\n    return f(3)\n"
    assert (runnable.program.entry, runnable.program.entry_line) == ("main", 3)


@pytest.mark.parametrize("call", ["", "f(", "x = 1", "f(1); f(2)", "*f(1), 2", "1\n    f(2)", "\0"])
def test_a_call_is_one_expression(call: str) -> None:
    with pytest.raises(CwmTraceError, match="is not an expression"):
        load_call("def f(x): pass", call)


def test_functions_are_found_by_name() -> None:
    text = "class A:\n    @property\n    def b(self): pass\ndef f(x=1, *, y=2): pass\ndef g(x): pass\n"
    assert find_function(text, "A.b", "it") == (2, True)
    assert find_function(text, "f", "it") == (4, False)
    assert find_function(text, "g", "it") == (5, True)
    with pytest.raises(CwmTraceError, match=r"no function 'h': it has A\.b, f, g"):
        find_function(text, "h", "it")
    with pytest.raises(CwmTraceError, match="it has no functions"):
        find_function("x = 1", "h", "it")


def test_surroundings_are_put_back() -> None:
    before = sys.argv, sys.path[:], sys.modules["__main__"]
    with surroundings(load_code("x = 1\n", ["a"])) as module:
        assert sys.argv == ["-c", "a"]
        assert sys.path[0] == ""
        assert sys.modules["__main__"] is module
    assert before == (sys.argv, sys.path, sys.modules["__main__"])


SHOW = """
import sys
names = ("__name__", "__file__", "__package__", "__doc__", "__cached__")
print(__spec__ and (__spec__.name, __spec__.origin))
print([(name, globals().get(name, "none")) for name in names])
print(type(__loader__).__name__, __builtins__.__name__, sys.argv, sys.path[0], __annotations__)
x: int = 1
"""


@pytest.mark.parametrize("how", ["script", "-m", "-c"])
def test_the_program_sees_what_it_would_see_under_python(tmp_path: Path, how: str) -> None:
    write(tmp_path, SHOW, "show_me.py")
    what = {"script": ["./show_me.py"], "-m": ["-m", "show_me"], "-c": ["-c", SHOW]}[how]
    python = run([sys.executable, *what, "one", "--two"], tmp_path)
    traced = run([sys.executable, "-m", "cwm_trace", "run", "-q", *what, "one", "--two"], tmp_path)
    assert traced.stdout == python.stdout
    assert python.returncode == traced.returncode == 0, traced.stderr


def run(command: list[str], folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=HANGS, check=False, input=text
    )


def test_a_call_leaves_the_programs_own_main_alone() -> None:
    text = "def main():\n    return 7\ndef f():\n    return main() + 1\n"
    program = load_call(text, "f()")
    assert program.entry_code is not None
    with pytest.raises(CwmTraceError, match="use --entry main"):
        load_call(text, "main()")


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_of_source_text_are_pythons(ending: str) -> None:
    assert load_code(f"x = 1{ending}y = 2{ending}").source.text == "x = 1\ny = 2\n"
    assert load_call(f"def f():{ending}    return 1{ending}", "f()").program.entry_line == 3


ABOVE = """
import inspect, logging, sys, traceback, warnings
def depth():
    frame, count = sys._getframe(), 0
    while frame:
        frame, count = frame.f_back, count + 1
    return count
back = sys._getframe().f_back  # without its address, which is another one in every process
print(sys.argv[1:], sys.path[0], globals().get("__file__"), __spec__ and __spec__.origin)
print(depth(), back and (back.f_code.co_filename, back.f_lineno, back.f_code.co_name))
print([f.function for f in inspect.stack()])
warnings.warn("look", stacklevel=2)
print("".join(traceback.format_stack()))
def outer():
    warnings.warn("further", stacklevel=9)
    raise LookupError("nothing")
try:
    outer()
except LookupError:
    traceback.print_exc()
print(__annotations__)
sys.stdout.flush()
raise SystemExit("bye") if len(sys.argv) > 1 else KeyError("uncaught")
"""


@pytest.mark.parametrize("arguments", [[], ["exit"]])
@pytest.mark.parametrize("how", ["script", "folder", "zip", "input", "-m", "-c"])
def test_a_program_sees_above_and_around_itself_what_it_sees_under_python(
    tmp_path: Path, how: str, arguments: list[str]
) -> None:
    package = tmp_path / "app"
    package.mkdir()
    write(package, ABOVE, "__main__.py")
    write(package, "import sys\nprint(sys.argv, sys.path[0], __name__)\n", "__init__.py")
    write(package, "def help():\n    return 1\n", "part.py")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.write(package / "__main__.py", "__main__.py")
    what = {
        "script": ["app/__main__.py"],
        "folder": ["app"],
        "zip": ["app.pyz"],
        "input": ["-"],
        "-m": ["-m", "app"],
        "-c": ["-c", ABOVE],
    }[how]
    text = ABOVE if how == "input" else None
    python = run([sys.executable, *what, *arguments], tmp_path, text)
    traced = run(
        [sys.executable, "-m", "cwm_trace", "run", "-q", "-o", "t", *what, *arguments], tmp_path, text
    )
    assert (traced.stdout, traced.stderr) == (python.stdout, python.stderr)
    assert traced.returncode == python.returncode == 1
    trace = read_trace(tmp_path / "t")
    assert [frame.source for frame in trace.frames if not frame.thread][
        1
    ] == "import inspect, logging, sys, traceback, warnings"
    check_stacks(trace)
    assert ("import sys" in {frame.source for frame in trace.frames}) == (how == "-m")


def test_modules_of_a_zip_file_are_the_users(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", "from pack.part import double\nprint(double(4))\n")
        archive.writestr("pack/__init__.py", "")
        archive.writestr("pack/part.py", "def double(x):\n    return 2 * x\n")
    run([sys.executable, "-m", "cwm_trace", "run", "-q", "-o", "t", "app.pyz"], tmp_path)
    trace = read_trace(tmp_path / "t")
    assert "    return 2 * x" in {frame.source for frame in trace.frames}


@pytest.mark.parametrize("what", ["app", "./app/", "app.pyz"])
def test_modules_of_a_folder_are_found_from_elsewhere(tmp_path: Path, what: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "app", "import os\nos.chdir('elsewhere')\nimport part\nprint(part.x)\n", "__main__.py")
    write(tmp_path / "app", "x = 7\n", "part.py")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        for name in ("__main__.py", "part.py"):
            archive.write(tmp_path / "app" / name, name)
    traced = run([sys.executable, "-m", "cwm_trace", "run", "-q", "-o", "t", what], tmp_path)
    assert (traced.stdout, traced.stderr, traced.returncode) == ("7\n", "", 0)
    assert "x = 7" in {frame.source for frame in read_trace(tmp_path / "t").frames}


@pytest.mark.parametrize(
    ("what", "sentence"), [("empty", "has no __main__.py"), ("broken.zip", "cannot be compiled")]
)
def test_folders_that_cannot_be_run(tmp_path: Path, what: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
        archive.writestr("__main__.py", "x = (\n")
    with pytest.raises(CwmTraceError, match=sentence):
        load_folder(str(tmp_path / what))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"x = (\n", "line 1 cannot be compiled: '(' was never closed"),
        (b"x = 1\0\n", "cannot be compiled: source code string cannot contain null bytes"),
        (b"# coding: nonsense\n", "cannot be compiled: unknown encoding: nonsense"),
    ],
)
def test_modules_of_a_zip_file_that_cannot_be_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, sentence: str
) -> None:
    broken = str(tmp_path / "broken.zip")
    with zipfile.ZipFile(broken, "w") as archive:
        for name in ("__main__.py", "broken_module.py", "broken_package/__init__.py"):
            archive.writestr(name, data)
        archive.writestr("broken_package/part.py", "x = 1\n")
    monkeypatch.syspath_prepend(broken)
    for load, name in (
        (load_folder, broken),
        (load_module, "broken_module"),
        (load_module, "broken_package.part"),
    ):
        with pytest.raises(CwmTraceError) as raised:
            load(name)
        assert sentence in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_zip_file_that_cannot_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", "x = 1\n" * 1000)
    data = bytearray(path.read_bytes())
    start = 30 + len("__main__.py")  # the local header and the name come before the data
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(CwmTraceError, match=r"cannot read .*damaged\.zip"):
        load_folder(str(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = (\n", r"__init__\.py, line 1 cannot be compiled: '\(' was never closed"),
        ("raise RuntimeError('not today')\n", "cannot find module 'spoilt_package': not today"),
    ],
)
def test_a_package_without_a_main_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    (tmp_path / "spoilt_package").mkdir()
    write(tmp_path / "spoilt_package", text, "__init__.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CwmTraceError, match=sentence):
        load_module("spoilt_package")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_program_that_closes_every_descriptor_ends_the_recording_only(tmp_path: Path, suffix: str) -> None:
    program = """
import os, resource
os.closerange(3, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 4096))
with open("own.txt", "w") as file:
    for n in range(5):
        file.write("mine")
print("done")
"""
    path = write(tmp_path, program)
    traced = run([sys.executable, "-m", "cwm_trace", "run", "-o", f"t.jsonl{suffix}", path], tmp_path)
    assert (traced.returncode, traced.stdout) == (0, "done\n")
    assert "recording ended early" in traced.stderr
    assert "Traceback" not in traced.stderr
    assert (tmp_path / "own.txt").read_text() == "mine" * 5

"""What a program does to its process: threads, forks, exit handlers, sudden ends."""

from __future__ import annotations

import _thread
import io
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from cwm_trace import Event, Outcome, Trace, read_trace, record, trace_execution
from cwm_trace.tracer.process import report_error
from tests.effort import HANGS, rest_in_ci
from tests.tracer.both import use


def run(
    folder: Path, program: str, *arguments: str, suffix: str = ".jsonl"
) -> tuple[Trace, subprocess.CompletedProcess[str]]:
    """Run a program under `cwm-trace run`; its output and exit code are those it has under python."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    plain = execute(folder, "program.py", *arguments)
    traced = execute(folder, "-m", "cwm_trace", "run", "-o", f"t{suffix}", "program.py", *arguments)
    assert traced.stdout == plain.stdout
    assert traced.returncode == plain.returncode
    return read_trace(folder / f"t{suffix}"), traced


def execute(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=HANGS, check=False
    )


THREADS = """
import _thread, threading, time

def work(n):
    total = 0
    for i in range(n):
        total += i
    return total

threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3)]
for thread in threads:
    thread.start()
    thread.join()
done = _thread.allocate_lock()
done.acquire()

def bare(n):
    work(n)
    done.release()

_thread.start_new_thread(bare, (4,))
done.acquire()

def late():
    time.sleep(0.2)
    print("late")

threading.Thread(target=late).start()
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
print("main is done")
"""


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_each_thread_is_a_stream_of_its_own(tmp_path: Path, suffix: str) -> None:
    trace, _ = run(tmp_path, THREADS, suffix=suffix)
    first = {
        thread: next(frame for frame in trace.frames if frame.thread == thread)
        for thread in {frame.thread for frame in trace.frames}
    }
    assert {frame.source for thread, frame in first.items() if thread} == {
        "def work(n):",
        "def bare(n):",
        "def late():",
    }
    assert all((frame.event, frame.depth) == (Event.CALL, 0) for frame in first.values())
    assert len(first) == 5
    for thread in first:
        depth = 0
        for frame in (frame for frame in trace.frames if frame.thread == thread):
            depth += frame.event is Event.CALL
            assert frame.depth == depth - 1
            depth -= frame.event is Event.RETURN
        assert depth == 0
    assert trace.frames[-1].source == '    print("late")'


def test_a_thread_that_others_start_meanwhile_is_not_recorded() -> None:
    go, begun = threading.Event(), threading.Event()

    @record
    def waits() -> int:
        begun.set()
        assert go.wait(HANGS)
        return 1

    def unrelated(n: int) -> int:
        done.release()
        return n

    done = threading.Semaphore(0)
    waiting = threading.Thread(target=waits)
    waiting.start()
    assert begun.wait(HANGS)
    threading.Thread(target=unrelated, args=(1,)).start()
    _thread.start_new_thread(unrelated, (2,))
    assert done.acquire(timeout=HANGS)
    assert done.acquire(timeout=HANGS)
    go.set()
    waiting.join()
    (trace,) = waits.traces  # type: ignore[attr-defined]
    assert {frame.thread for frame in trace.frames} == {0}


def test_recordings_that_overlap_leave_the_process_as_it_was() -> None:
    def state() -> list[object]:
        names = [
            (module, name)
            for module in (_thread, threading, os)
            for name in ("start_new_thread", "_start_new_thread", "_start_joinable_thread", "_exit")
        ]
        return [getattr(module, name, None) for module, name in names]

    def wait(begun: threading.Event, go: threading.Event) -> None:
        with record():
            begun.set()
            assert go.wait(HANGS)

    before = state()
    events = [(threading.Event(), threading.Event()) for _ in range(2)]
    threads = [threading.Thread(target=wait, args=pair) for pair in events]
    for thread, (begun, _) in zip(threads, events, strict=True):
        thread.start()
        assert begun.wait(HANGS)
    assert state() != before
    for thread, (_, go) in zip(threads, events, strict=True):  # the first to begin is the first to end
        go.set()
        thread.join()
    assert state() == before


THREADS_STACK = """
import _thread, inspect, sys, threading, time

def show():
    names.append([frame.function for frame in inspect.stack()])

def bare():
    show()
    done.release()
    1 / 0

def told(problem):
    print(str(problem.err_msg).partition(" at ")[0], repr(problem.object).partition(" at ")[0])
    done.release()

names, done = [], threading.Semaphore(0)
sys.unraisablehook = told
thread = threading.Thread(target=show)
thread.start()
thread.join()
_thread.start_new_thread(bare, ())
done.acquire(), done.acquire()
try:
    _thread.start_new_thread(bare, [])
except TypeError as error:
    print(error)
print(sorted(names))
"""


LOST_THREAD = """
import sys, threading

def work():
    sys.settrace(None)
    def more():
        return 1
    more()

for target in (work, int):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
"""


def test_a_thread_whose_trace_function_is_removed_is_said() -> None:
    with use("python"):  # beside the compiled one there is nothing to remove
        trace = trace_execution(LOST_THREAD)
    assert len(trace.warnings) == 1
    assert trace.warnings[0].startswith("of 1 other threads only a part was recorded")


def test_a_thread_sees_no_frame_of_ours(tmp_path: Path) -> None:
    trace, _ = run(tmp_path, THREADS_STACK)
    assert {frame.thread for frame in trace.frames} == {0, 1, 2}


def test_a_forked_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    program = """
    import multiprocessing, os, sys
    x = 1
    child = os.fork()
    if child == 0:
        y = 2
        sys.exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    child = os.fork()
    if child == 0:
        os._exit(4)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def square(n):
        return n * n

    if __name__ == "__main__":
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(square, [1, 2, 3]))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(square, [1, 2, 3]))
    """
    trace, traced = run(tmp_path, program)
    assert trace.outcome is Outcome.RETURNED
    assert "        y = 2" not in {frame.source.replace("    ", "        ", 1) for frame in trace.frames}
    assert all("y = 2" not in frame.source for frame in trace.frames)
    assert traced.stderr.count("frames (") == 1


def test_a_pool_that_nobody_shuts_down_ends_with_the_program(tmp_path: Path) -> None:
    program = """
    import atexit, threading
    from concurrent.futures import ThreadPoolExecutor
    def work(n):
        return n + 1
    pool = ThreadPoolExecutor(2)
    print(list(pool.map(work, [1, 2])))
    atexit.register(lambda: print("bye", threading.active_count()))
    """
    trace, _ = run(tmp_path, program)
    assert trace.outcome is Outcome.RETURNED
    assert sum(frame.source == "    return n + 1" for frame in trace.frames) == 4


def test_exit_handlers_are_recorded(tmp_path: Path) -> None:
    program = """
    import atexit
    def bye(name):
        greeting = "bye " + name
        print(greeting)
    atexit.register(bye, "world")
    raise SystemExit(2)
    """
    trace, _ = run(tmp_path, program)
    assert trace.frames[-1].source == "    print(greeting)"
    assert (trace.outcome, trace.run.exit_code) == (Outcome.EXITED, 2)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_an_exit_without_goodbye_loses_nothing(tmp_path: Path, suffix: str) -> None:
    if suffix == ".jsonl.zst":
        pytest.importorskip("zstandard")
    trace, _ = run(tmp_path, "import os\nx = [1]\nos._exit(5)\n", suffix=suffix)
    assert trace.outcome is Outcome.INCOMPLETE
    assert [frame.source for frame in trace.frames][-1] == "os._exit(5)"


def test_an_uncaught_exception_prints_the_programs_own_traceback(tmp_path: Path) -> None:
    _, traced = run(
        tmp_path, "def f():\n    1 / 0\ntry:\n    f()\nexcept Exception as e:\n    raise KeyError from e\n"
    )
    plain = execute(tmp_path, "program.py")
    assert traced.stderr.startswith(plain.stderr)


def kill_after(folder: Path, seconds: float) -> Trace:
    process = subprocess.Popen(
        [sys.executable, "-m", "cwm_trace", "run", "-o", "t.jsonl", "program.py"], cwd=folder
    )
    while not (folder / "t.jsonl").exists() or b"\n" not in (folder / "t.jsonl").read_bytes():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.wait()
    written = (folder / "t.jsonl").read_bytes()
    trace = read_trace(folder / "t.jsonl")
    assert len(trace.frames) == written.count(b"\n") - 1
    assert trace.outcome is Outcome.INCOMPLETE
    return trace


def kill_many(folder: Path, times: int) -> None:
    (folder / "program.py").write_text("x = []\nwhile True:\n    x.append(len(x) % 7)\n    x = x[-50:]\n")
    chance = random.Random(0)
    lengths = set()
    for _ in range(times):
        lengths.add(len(kill_after(folder, chance.uniform(0, 0.3)).frames))
        (folder / "t.jsonl").unlink()
    assert len(lengths) > 1


def test_killed_at_random_moments(tmp_path: Path) -> None:
    kill_many(tmp_path, 2)


@pytest.mark.slow
def test_killed_at_100_random_moments(tmp_path: Path) -> None:
    kill_many(tmp_path, 100)


def test_another_trace_function_is_set_aside_and_put_back(tmp_path: Path) -> None:
    program = """
    import sys
    from cwm_trace import trace_execution

    def double(x):
        return 2 * x

    def mine(frame, event, arg):
        return None

    sys.settrace(mine)
    trace = trace_execution(double, 4)
    print(sys.gettrace() is mine, len(trace.frames), trace.warnings)
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    result = execute(tmp_path, "program.py")
    assert result.stdout.startswith("True 3 ('another trace function (builtins.function) was set aside")


def test_coverage_running_at_the_same_time(tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    program = """
    from cwm_trace import trace_execution
    def double(x):
        return 2 * x
    before = 1
    trace = trace_execution(double, 4)
    after = 2
    print(trace.warnings[0])
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    result = execute(tmp_path, "-m", "coverage", "run", "--timid", "program.py")
    assert "was set aside" in result.stdout, result.stderr
    report = execute(tmp_path, "-m", "coverage", "report", "-m", "--include", "program.py")
    line = next(line for line in report.stdout.splitlines() if line.startswith("program.py"))
    assert line.split("%")[-1].strip() == "4"  # the one line that ran while coverage was set aside


@pytest.mark.parametrize(
    "ends",
    rest_in_ci(
        [
            "sys.stderr.close()",
            "sys.stdout = sys.stderr = None",
            "sys.stdout.close(); signal.raise_signal(signal.SIGINT)",
        ]
    ),
)
def test_a_program_that_closes_its_streams_ends_as_under_python(tmp_path: Path, ends: str) -> None:
    trace, _ = run(
        tmp_path, f"import os, signal, sys\nprint(1, flush=True)\nos.closerange(3, 100)\n{ends}\nx = 1\n"
    )
    assert "os.closerange(3, 100)" in [frame.source for frame in trace.frames]


def test_the_tracer_imports_nothing_of_its_own_from_the_working_folder(tmp_path: Path) -> None:
    for name in "click", "pydantic", "json":
        (tmp_path / f"{name}.py").write_text(f"WHOSE = 'my {name}'\n")
    _, traced = run(
        tmp_path, "import click, json, pydantic\nprint(click.WHOSE, json.WHOSE, pydantic.WHOSE)\n"
    )
    assert traced.stdout == "my click my json my pydantic\n"


HOOK = """
import atexit, sys

def hook(kind, error, trace):
    print("hook", kind.__name__, sys.exc_info(), error.__context__)
    HOW

def late():
    print(sys.last_type.__name__, sys.last_value, sys.last_traceback.tb_lineno)

atexit.register(late)
sys.excepthook = hook
1 / 0
"""


@pytest.mark.parametrize("how", rest_in_ci(["sys.exit(3)", "raise KeyError(kind)", "sys.exit('in words')"]))
def test_what_an_excepthook_raises_ends_the_program_as_under_python(tmp_path: Path, how: str) -> None:
    trace, traced = run(tmp_path, HOOK.replace("HOW", how))
    assert "hook ZeroDivisionError (None, None, None) None" in traced.stdout
    assert "ZeroDivisionError division by zero 13" in traced.stdout
    assert [frame.source for frame in trace.frames if frame.event is Event.CALL][1:] == [
        "def hook(kind, error, trace):",
        "def late():",
    ]


def told_by(error: BaseException, hook: object, monkeypatch: pytest.MonkeyPatch) -> tuple[BaseException, str]:
    """What ends a program, and what is said of it."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    if hook is None:
        monkeypatch.delattr(sys, "excepthook")
    else:
        monkeypatch.setattr(sys, "excepthook", hook)
    return report_error(error, "/nowhere"), said.getvalue()


def test_what_is_said_of_an_excepthook_that_raises_or_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise KeyError("in it")

    def asks(*_: object) -> None:
        sys.exit("words")

    error = ValueError("first")
    ended, said = told_by(error, raises, monkeypatch)
    first, _, second = said.partition("\nOriginal exception was:\n")
    assert ended is error
    assert first.startswith("Error in sys.excepthook:\nTraceback (most recent call last):\n")
    assert first.endswith("KeyError: 'in it'\n")
    assert "report_error" not in first
    assert second == "ValueError: first\n"
    ended, said = told_by(error, asks, monkeypatch)
    assert isinstance(ended, SystemExit)
    assert said == "words\n"
    assert told_by(error, None, monkeypatch) == (error, "sys.excepthook is missing\nValueError: first\n")

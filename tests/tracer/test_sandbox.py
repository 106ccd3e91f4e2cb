"""Hostile programs are contained and counted, the run goes on, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from cwm_trace import Outcome, trace_execution
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits
from cwm_trace.tracer import supervision
from cwm_trace.tracer.bubblewrap import find_bubblewrap
from cwm_trace.tracer.sandbox import Isolated, trace_isolated
from cwm_trace.tracer.supervision import Bounds, Isolation, SandboxError
from tests.effort import HANGS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox of other systems covers less")

BOUNDS = Bounds(
    seconds=4, cpu_seconds=3, memory=512 * 2**20, file_bytes=2**20, processes=8, output_bytes=10_000
)


@pytest.fixture(params=["bubblewrap", "namespaces", "process"])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    kind: Isolation = request.param
    if kind == "bubblewrap" and find_bubblewrap() is None:
        pytest.skip("bubblewrap is not installed or does not work here")
    return kind


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the sandboxes of a test alone; in the end no process of them is left, and no folder."""
    tmp_path_factory.getbasetemp()  # pytest's own is made when it is first asked for, and not to be there
    place = Path(tempfile.mkdtemp(prefix="sandboxes-"))
    place.chmod(0o755)  # users of sandboxes must pass it
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    end = time.monotonic() + HANGS
    while processes(place) and time.monotonic() < end:
        time.sleep(0.02)
    assert processes(place) == {}
    place.rmdir()


def processes(place: Path) -> dict[int, str]:
    """Every process that has its home there, and its command line."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if f"HOME={place}/".encode() in Path(f"/proc/{name}/environ").read_bytes():
                found[int(name)] = Path(f"/proc/{name}/cmdline").read_bytes().decode()
    return found


def run(source: str, isolation: Isolation, bounds: Bounds = BOUNDS, limits: Limits | None = None) -> Isolated:
    limits = limits or Limits(max_frames=2_000, max_bytes=2**20)
    return trace_isolated(dedent(source), limits=limits, bounds=bounds, isolation=isolation)


def test_the_trace_is_that_of_a_run_without_sandbox(isolation: Isolation) -> None:
    source = "def f(n):\n    for i in range(n):\n        print(i)\n    return {'a', 'b', i}\n"
    isolated = trace_isolated(source, "f(3)", isolation=isolation).trace
    plain = trace_execution(source, call="f(3)", capture_output=True)
    assert isolated.frames[:-4] == plain.frames[:-4]  # the order of a set depends on the hash seed
    assert (isolated.files, isolated.entry, isolated.entry_line) == (
        plain.files,
        plain.entry,
        plain.entry_line,
    )
    assert (isolated.outcome, isolated.run.output, isolated.run.python) == (
        plain.outcome,
        plain.run.output,
        plain.run.python,
    )


def test_the_same_hash_seed_gives_the_same_trace(isolation: Isolation) -> None:
    source = "x = {str(i) for i in range(20)}\ny = list(x)\n"
    first, second, other = (
        trace_isolated(source, isolation=isolation, hash_seed=seed).trace for seed in (1, 1, 2)
    )
    assert first == second
    assert first.frames != other.frames


@pytest.mark.parametrize(
    ("source", "reason", "outcome"),
    [
        ("x = 1\n", "returned", Outcome.RETURNED),
        ("x = 1 / 0\n", "raised", Outcome.RAISED),
        ("exit(3)\n", "exited", Outcome.EXITED),
        ("while True:\n    pass\n", "frame-limit", Outcome.FRAME_LIMIT),
        ("x = 'a' * 1000\nfor i in range(2000):\n    x = x + 'b'\n", "byte-limit", Outcome.BYTE_LIMIT),
        ("import time\nx = 1\ntime.sleep(60)\n", "timed-out", Outcome.TIMED_OUT),
        ("x = 1\nwhile True: pass\n", "cpu-limit", Outcome.TIMED_OUT),
        ("x = []\nwhile True:\n    x.append(memoryview(bytearray(2**25)))\n", "memory-limit", Outcome.RAISED),
        ("x = 1\nimport os\nos._exit(7)\n", "left", Outcome.EXITED),
        ("import os, signal\nx = 1\nos.kill(os.getpid(), signal.SIGKILL)\n", "killed", Outcome.KILLED),
        ("x = 1\nwhile True: print('endless ' * 100)\n", "output-limit", Outcome.BYTE_LIMIT),
        (
            "import os\nx = 1\nwhile True: os.write(2, b'endless' * 100)\n",
            "output-limit",
            Outcome.BYTE_LIMIT,
        ),
    ],
)
def test_every_end_has_its_reason(source: str, reason: str, outcome: Outcome) -> None:
    seconds = 2 if reason == "timed-out" else 20
    cpu = 1 if reason == "cpu-limit" else 10  # filling memory takes a while
    result = run(source, "process", Bounds(seconds, cpu, 512 * 2**20, 2**20, 8, 10_000))
    assert (result.reason, result.trace.outcome) == (reason, outcome)
    assert len(result.trace.frames) >= 2  # what came before the end is kept
    if reason in ("returned", "raised", "exited"):
        assert result.trace.warnings == ()
    if reason == "left":
        assert (result.trace.run.exit_code, result.detail) == (7, "status 7")


def test_a_hang_that_cannot_be_interrupted(isolation: Isolation) -> None:
    result = run(
        """
        import signal, time
        for number in range(1, 32):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True: time.sleep(1)
        """,
        isolation,
        Bounds(seconds=1.5),
    )
    assert result.reason == "timed-out"
    assert result.seconds < 8


def test_a_fork_bomb(isolation: Isolation) -> None:
    result = run(
        """
        import os
        while True:
            try:
                os.fork()
                os.setsid()
            except OSError:
                pass
        """,
        isolation,
        Bounds(seconds=1.5, processes=8),
        Limits(),
    )
    assert result.reason in ("timed-out", "raised")


def test_a_fork_bomb_does_not_get_far(isolation: Isolation) -> None:
    result = run(
        """
        import os, sys, time
        count = 0
        try:
            while count < 300:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                count += 1
        except OSError as error:
            pass
        print(count)
        """,
        isolation,
    )
    if os.geteuid() == 0 or isolation != "process":
        assert int(result.trace.run.output or -1) < 8


def test_daemons_that_leave_their_session(isolation: Isolation) -> None:
    result = run(
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
        os.wait()
        """,
        isolation,
    )
    assert result.reason == "returned"
    assert result.seconds < 5


def test_a_memory_bomb_at_once(isolation: Isolation) -> None:
    result = run("x = 1\ny = bytearray(2**40)\n", isolation)
    assert result.reason == "memory-limit"
    assert result.memory < 2**29


def test_a_file_that_grows(isolation: Isolation) -> None:
    result = run("with open('big', 'wb') as file:\n    while True: file.write(b'x' * 4096)\n", isolation)
    assert result.reason in ("killed", "raised")  # SIGXFSZ, which CPython ignores: then EFBIG


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_the_network(isolation: Isolation, server: int) -> None:
    result = run(f"import socket\nsocket.create_connection(('127.0.0.1', {server}), timeout=1)\n", isolation)
    if result.isolation == "process":
        pytest.skip("without namespaces the network is there, as the module says")
    assert result.reason == "raised"


def test_reading_the_home_folder(isolation: Isolation, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    result = run(
        f"import os\nseen = [os.path.exists({str(secret)!r}), os.path.expanduser('~'), dict(os.environ)]\n"
        f"print(open({str(secret)!r}).read())\n",
        isolation,
    )
    (seen,) = [slot.text for frame in result.trace.frames if (slot := frame.changed.get("seen"))]
    assert str(Path.home()) not in seen
    if result.isolation == "bubblewrap":
        assert (result.reason, result.detail) == ("raised", "FileNotFoundError")


def test_writing_outside(isolation: Isolation, tmp_path: Path) -> None:
    target = tmp_path / "written"
    tmp_path.chmod(0o777)
    result = run(f"open({str(target)!r}, 'w').write('x')\n", isolation)
    if result.isolation == "bubblewrap":
        assert result.reason == "raised"
        assert not target.exists()
    inside = run("open('here', 'w').write('x')\nprint(open('here').read())\n", isolation)
    assert (inside.reason, inside.trace.run.output) == ("returned", "x\n")


def test_killing_the_parent(isolation: Isolation) -> None:
    result = run(
        """
        import os, signal
        x = 1
        for target in (os.getppid(), 1, -1):
            try:
                os.kill(target, signal.SIGKILL)
            except OSError:
                pass
        """,
        isolation,
    )
    assert result.reason in ("returned", "killed")
    assert len(result.trace.frames) >= 2
    assert run("x = 1\n", isolation).reason == "returned"


def test_killing_whoever_started_it() -> None:
    """A user's own processes are out of reach in namespaces; as root they are in any case."""
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        result = run(f"import os\nos.kill({victim.pid}, 9)\n", "namespaces")
        if result.isolation == "namespaces" or os.geteuid() == 0:
            assert result.reason == "raised"
            assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_deep_recursion(isolation: Isolation) -> None:
    result = run("def f(n):\n    return f(n + 1)\nf(0)\n", isolation, limits=Limits(max_frames=50_000))
    assert (result.reason, result.detail) == ("raised", "RecursionError")
    source = "import sys\nsys.setrecursionlimit(10**9)\nf = lambda n: list(map(f, [n]))\nf(0)\n"
    assert run(source, isolation, limits=Limits()).reason in ("killed", "raised", "memory-limit")


def test_forging_the_channel(isolation: Isolation) -> None:
    result = run(
        """
        import os
        x = 1
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, b'{"event": "line", "line": "no"}\\n[1, 2\\n')
            except OSError:
                pass
        """,
        isolation,
    )
    assert result.reason == "damaged"
    assert len(result.trace.frames) >= 2


def test_an_endless_line_in_the_channel() -> None:
    source = """
        import os
        for descriptor in range(3, 256):
            try:
                while True: os.write(descriptor, b"x" * 65536)
            except OSError:
                pass
        """
    assert run(source, "process").reason == "damaged"


def test_our_own_descriptors_are_closed(isolation: Isolation, tmp_path: Path) -> None:
    with open(tmp_path / "open", "w") as file:
        os.set_inheritable(file.fileno(), True)
        source = """
            import os
            numbers = os.listdir("/proc/self/fd")
            print([os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)], len(numbers))
            """
        result = run(source, isolation)
    assert "/dev/null" in (result.trace.run.output or "")
    assert (
        (result.trace.run.output or "").rstrip().endswith(" 5")
    )  # 0, 1, 2, the channel, and the listing's own


def test_what_cannot_be_compiled_is_refused(isolation: Isolation) -> None:
    with pytest.raises(CwmTraceError, match="cannot be compiled"):
        trace_isolated("x = (\n", isolation=isolation)


def test_bubblewrap_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwm_trace.tracer.supervision.find_bubblewrap", lambda: None)
    with pytest.raises(CwmTraceError, match="bubblewrap does not work here"):
        trace_isolated("x = 1\n", isolation="bubblewrap")
    assert trace_isolated("x = 1\n").isolation in ("namespaces", "process")


def test_the_folder_of_temporary_files_may_have_gone(place: Path) -> None:
    place.rmdir()
    assert run("x = 1\n", "process").reason == "returned"
    assert place.is_dir()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_folder_that_somebody_removes_is_made_again(
    monkeypatch: pytest.MonkeyPatch, place: Path, moment: str, times: int
) -> None:
    """Before the process starts, or between that and its first step."""
    started, left = supervision._started, [place] * times

    @contextlib.contextmanager
    def lose(wrapper: str | None, readable: Sequence[str], folder: str, seed: int) -> Iterator[Any]:
        if left and moment == "before":
            os.rmdir(folder)
            left.pop()
        with started(wrapper, readable, folder, seed) as child:
            if left and moment == "after":
                os.rmdir(folder)
                left.pop()
            yield child

    monkeypatch.setattr(supervision, "_started", lose)
    if times == 1:
        assert run("x = 1\n", "process").reason == "returned"
    else:
        with pytest.raises(SandboxError, match="somebody removes its folder"):
            run("x = 1\n", "process")
    assert left == []


def test_a_caller_that_is_killed_leaves_nothing(isolation: Isolation, place: Path) -> None:
    program = (
        "from cwm_trace.tracer.sandbox import trace_isolated\n"
        "import sys; print('started', flush=True)\n"
        f"trace_isolated('import time\\ntime.sleep(60)\\n', isolation={isolation!r})\n"
    )
    environment = {**os.environ, "TMPDIR": str(place)}
    caller = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert caller.stdout is not None
    caller.stdout.readline()
    end = time.monotonic() + HANGS
    while not processes(place) and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    for folder in place.iterdir():  # the caller's own to remove, and it cannot any more
        folder.rmdir()

"""The parent of a sandboxed child: starts it, listens to it, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import selectors
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cwm_trace import records
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import temporary_folder
from cwm_trace.records import Limits
from cwm_trace.tracer import channel
from cwm_trace.tracer.bubblewrap import find_bubblewrap, wrap

_BOOT = (
    "import sys; del sys.path[0]; a = sys.argv[:]; sys.path += a[3:]; del sys.argv[1:];"
    "from cwm_trace.tracer.sandbox_child import main; main(int(a[1]), int(a[2]))"
)
_GRACE = 10.0
"""Seconds beyond the program's own in which the supervisor must have ended everything."""
_LINGER = 1.0
"""Seconds in which a pipe may stay open after the supervisor is gone."""


_ATTEMPTS = 3
"""Times that a program is started whose folder somebody removes before it has begun."""

Isolation = Literal["bubblewrap", "namespaces", "process"]


class SandboxError(CwmTraceError):
    """There is no sandbox here and now: that is no fault of the program, and the next try may do."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a sandboxed program may use.

    Args:
        seconds: on the wall clock.
        cpu_seconds: of each process.
        memory: bytes of address space of each process.
        file_bytes: of each file that it writes.
        processes: and threads, all together.
        output_bytes: written to standard output and standard error, together.
    """

    seconds: float = 10.0
    cpu_seconds: int = 10
    memory: int = 2**30
    file_bytes: int = 16 * 2**20
    processes: int = 16
    output_bytes: int = 2**20


@dataclass
class Verdict:
    """What the parent saw of a child.

    Args:
        isolation: what it ran in, as far as the supervisor said.
        ended: why the parent ended it; empty if it did not.
        supervised: whether the supervisor lived to report.
        status: exit status of the program's own process; None: it was ended, or by a signal.
        signal: that ended it; 0: none.
        output: what it wrote to standard output.
        errors: what it wrote to standard error.
        seconds: of wall-clock time.
        memory: bytes at the most.
    """

    isolation: Isolation
    ended: str = ""
    supervised: bool = False
    status: int | None = None
    signal: int = 0
    output: bytes = b""
    errors: bytes = b""
    seconds: float = 0.0
    memory: int = 0


def run_child(
    job: Mapping[str, Any],
    feed: Callable[[bytes], None],
    limits: Limits,
    bounds: Bounds,
    *,
    readable: Sequence[str] = (),
    hash_seed: int = 0,
    isolation: Isolation | None = None,
    streams: tuple[int, int] | None = None,
) -> Verdict:
    """Run a job of `cwm_trace.tracer.sandbox_child` and hand on what it writes to the channel.

    Raises:
        CwmTraceError: bubblewrap is asked for and does not work here.
        SandboxError: there is no room for a process or its folder.
        Exception: what `feed` raises, `DamagedChannelError` excepted; the child is ended before.
    """
    wrapper = find_bubblewrap() if isolation in (None, "bubblewrap") else None
    if isolation == "bubblewrap" and wrapper is None:
        raise CwmTraceError("bubblewrap does not work here: install it, or allow it to make namespaces")
    user = _user_of_its_own()
    setting = {
        "user": user,
        "reads_all": not all(map(_is_open_to_all, [*_needed_folders(), *readable])),
        "wrapped": wrapper is not None,
        "namespaces": isolation in (None, "namespaces"),
        "bounds": asdict(bounds),
    }
    full = {**job, **setting, "limits": {**asdict(limits), "timeout": None}}
    has_begun = False

    def listen(data: bytes) -> None:
        nonlocal has_begun
        has_begun = True
        feed(data)

    for _ in range(_ATTEMPTS):
        verdict = Verdict("bubblewrap" if wrapper else "process")
        start = time.monotonic()
        with _folder_for(user) as folder:
            line = json.dumps({**full, "folder": folder}).encode() + b"\n"
            try:
                with _started(wrapper, readable, folder, hash_seed) as child:
                    child.attend(line, listen, bounds, verdict, streams)
            except SandboxError:
                if os.path.isdir(folder):
                    raise
            verdict.seconds = time.monotonic() - start
            if has_begun or verdict.ended or os.path.isdir(folder):
                return verdict
    raise SandboxError(f"the sandbox could not be set up here: somebody removes its folder, {folder}")


@contextlib.contextmanager
def _folder_for(user: int | None) -> Iterator[str]:
    """The working folder of one run, its user's own."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder())
            if user is not None:
                os.chown(folder, user, user)
        except OSError as error:
            raise SandboxError(f"the sandbox could not be set up here: no folder for it: {error}") from error
        yield folder


class _Child:
    def __init__(self, process: subprocess.Popen[bytes], channel: int, status: int) -> None:
        self._process = process
        self._channel = channel
        self._status = status

    def attend(
        self,
        job: bytes,
        feed: Callable[[bytes], None],
        bounds: Bounds,
        verdict: Verdict,
        streams: tuple[int, int] | None,
    ) -> None:
        """Listen until everything is silent; end what goes too far."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(job)
            process.stdin.flush()
        out, err = process.stdout.fileno(), process.stderr.fileno()
        report = b""
        deadline = time.monotonic() + bounds.seconds + _GRACE
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._channel, self._status, out, err):
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    break
                for descriptor in (key.fd for key, _ in ready):
                    data = os.read(descriptor, 2**18)
                    if not data:
                        selector.unregister(descriptor)
                        if descriptor == self._status:  # the supervisor has ended everything, or was ended
                            deadline = min(deadline, time.monotonic() + _LINGER)
                    elif descriptor == self._status:
                        report += data
                    elif verdict.ended:
                        pass
                    elif descriptor == self._channel:
                        try:
                            feed(data)
                        except channel.DamagedChannelError:
                            verdict.ended = "damaged"
                    else:
                        room = bounds.output_bytes - len(verdict.output) - len(verdict.errors)
                        if len(data) > room:
                            data = data[:room]
                            verdict.ended = "output-limit"
                        if descriptor == out:
                            verdict.output += data
                        else:
                            verdict.errors += data
                        if streams is not None:
                            _write_all(streams[descriptor == err], data)
                    if verdict.ended and not process.stdin.closed:
                        process.stdin.close()
        _read_report(report, verdict)


@contextlib.contextmanager
def _started(wrapper: str | None, readable: Sequence[str], folder: str, hash_seed: int) -> Iterator[_Child]:
    """The child with its pipes; it has ended, and its pipes are closed, when the block is left."""
    from_child, to_parent = os.pipe()
    status, to_status = os.pipe()
    process: subprocess.Popen[bytes] | None = None
    try:
        command = [
            sys.executable,
            "-s",
            "-S",
            "-B",
            "-c",
            _BOOT,
            str(to_parent),
            str(to_status),
            *_import_path(),
        ]
        if wrapper:
            command = wrap(wrapper, command, [*_needed_folders(), *readable], folder)
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": folder,
            "TMPDIR": folder,
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONUTF8": "1",
            "OPENBLAS_NUM_THREADS": "1",  # each thread counts as a process
            "OMP_NUM_THREADS": "1",
        }
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(to_parent, to_status),
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"the sandbox could not be set up here: no process for it: {error}") from error
        os.close(to_parent)
        os.close(to_status)
        to_parent = to_status = -1
        yield _Child(process, from_child, status)
    finally:
        if process is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()  # type: ignore[union-attr]
        for descriptor in (from_child, status, to_parent, to_status):
            if descriptor >= 0:
                os.close(descriptor)


def _read_report(report: bytes, verdict: Verdict) -> None:
    try:
        fields = json.loads(report)
    except ValueError:
        return
    verdict.supervised = True
    verdict.memory = fields["memory"]
    if fields["namespaced"] and verdict.isolation == "process":
        verdict.isolation = "namespaces"
    status = fields["status"]
    if status is not None and os.WIFSIGNALED(status):
        verdict.signal = os.WTERMSIG(status)
    elif status is not None:
        verdict.status = os.WEXITSTATUS(status)


def _import_path() -> list[str]:
    """Where the child imports from: installed packages, and this one."""
    installed = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    return [*installed, os.path.dirname(os.path.dirname(os.path.abspath(records.__file__)))]


def _needed_folders() -> list[str]:
    """What the child must be able to read: Python, installed packages, this package, nothing beside it."""
    package = os.path.dirname(os.path.abspath(records.__file__))
    own = [package, os.path.dirname(os.path.realpath(__file__))]
    python = [sys.base_prefix, sys.prefix, os.path.dirname(os.path.realpath(sys.executable))]
    library = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    return list(dict.fromkeys([*python, *library, *_import_path()[:-1], *own]))


def _user_of_its_own() -> int | None:
    """The number of a user that owns nothing and that hardly another run has; None unless this is root.

    Runs of other processes are out of sight where those have process numbers of their own, as containers do.
    """
    if os.geteuid() != 0:
        return None
    for first, count in ((2**30, 2**24), (60_000, 4_000)):
        if _is_mapped(first) and _is_mapped(first + count - 1):
            return first + random.SystemRandom().randrange(count)
    return None


def _is_mapped(user: int) -> bool:
    """Whether this user namespace has such a user (user_namespaces(7))."""
    try:
        with open("/proc/self/uid_map") as file:
            return any(
                int(first) <= user < int(first) + int(count) for first, _, count in map(str.split, file)
            )
    except (OSError, ValueError):
        return True


def _is_open_to_all(path: str) -> bool:
    while path != os.path.dirname(path):
        if os.path.exists(path) and not os.stat(path).st_mode & stat.S_IXOTH:
            return False
        path = os.path.dirname(path)
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

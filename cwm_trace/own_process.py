"""Programs and tests of the user's own, recorded in a process of their own, where they run as ever."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import temporary_folder, write_whole
from cwm_trace.records import Limits, Trace
from cwm_trace.storage import TraceWriter, read_trace
from cwm_trace.tracer.session import Options, record_program
from cwm_trace.tracer.supervision import SandboxError
from cwm_trace.tracer.target import load_named

_TESTS_FAILED, _NO_TESTS = 1, 5
_TRACE, _ANSWER = "trace.jsonl", "answer.json"


@dataclass(frozen=True)
class OwnRun:
    """What a program did.

    Args:
        trace: all that was recorded, without its output.
        error: the last line of its traceback; empty: it has none.
        output: what it wrote to standard output.
    """

    trace: Trace
    error: str
    output: str


def record_own(
    path: str,
    call: str = "",
    arguments: Sequence[str] = (),
    *,
    limits: Limits = Limits(),
    hash_seed: str | None = None,
) -> OwnRun:
    """Record a script, or a call of a function in it.

    Its input is empty, and what it writes is kept from the terminal.

    Args:
        path: of the script.
        call: such as `f(3)`; empty: the whole script.
        arguments: of the script.
        limits: of the recording.
        hash_seed: `PYTHONHASHSEED`; None: as here.

    Raises:
        CwmTraceError: it cannot be read, compiled or recorded.
        SandboxError: what was recorded has been removed, by somebody else.
    """
    job = {"path": path, "call": call, "arguments": list(arguments), "limits": asdict(limits)}
    with temporary_folder() as place:
        ended = _run([sys.executable, "-m", "cwm_trace.own_process", place, json.dumps(job)], hash_seed)
        if not os.path.isdir(place):
            raise SandboxError(f"{path} ran, and somebody removed its trace: {place} is gone; try again")
        trace = Path(place, _TRACE)
        answer = _read_answer(Path(place, _ANSWER))
        if "refused" in answer:
            raise CwmTraceError(answer["refused"])
        if not trace.exists():
            said = _last_line(ended.stderr)
            raise CwmTraceError(f"{path} could not be recorded: {said or f'status {ended.returncode}'}")
        return OwnRun(read_trace(trace), answer.get("error", ""), ended.stdout.decode("utf-8", "replace"))


def record_tests(
    arguments: Sequence[str],
    *,
    folder: str = "",
    limits: Limits = Limits(),
    hash_seed: str | None = None,
    all_frames: bool = False,
) -> Iterator[tuple[str, Trace]]:
    """Run pytest, and record each of its tests.

    Args:
        arguments: for pytest, such as paths of tests.
        folder: in which it runs; empty: this one.
        limits: of each recording; `timeout` is not looked at.
        hash_seed: `PYTHONHASHSEED`; None: as here.
        all_frames: of a test; else those from the call of its function to its return.

    Yields:
        Name and trace of each test, by name.

    Raises:
        CwmTraceError: it ran no tests.
    """
    bounds = {name: value for name, value in asdict(limits).items() if name != "timeout"}
    how = {"limits": bounds, "all_frames": all_frames, "suffix": ".gz"}
    with temporary_folder() as place:
        ended = _run(pytest_command(["-q", *arguments], place, how), hash_seed, folder or None)
        if ended.returncode not in (0, _TESTS_FAILED) or not os.listdir(place):
            said = _last_line(ended.stderr) or _last_line(ended.stdout) or "nothing"
            why = "it found no tests" if ended.returncode == _NO_TESTS else f"it said: {said}"
            raise CwmTraceError(f"pytest did not run in {folder or os.curdir}: {why}")
        for file in sorted(Path(place).iterdir()):
            yield file.name.removesuffix(".gz"), read_trace(file)


def pytest_command(arguments: Sequence[str], folder: str, how: Mapping[str, object]) -> list[str]:
    """The command of a pytest that records each of its tests.

    Args:
        arguments: of pytest.
        folder: for a trace file for each test.
        how: options of the recording, as `cwm_trace.pytest_plugin` takes them.
    """
    plugin = ["-p", "cwm_trace", f"--cwm-trace={folder}", f"--cwm-trace-options={json.dumps(how)}"]
    return [sys.executable, "-m", "pytest", *plugin, *arguments]


def main(place: str, job: str) -> None:
    """In the process: run what `job` says, and leave in the folder `place` what came of it."""
    program_of: dict[str, Any] = json.loads(job)
    limits = Limits(**program_of.pop("limits"))
    answer = Path(place, _ANSWER)
    try:
        program = load_named(**program_of)
    except CwmTraceError as refused:
        write_whole(answer, json.dumps({"refused": str(refused)}))
        return
    with contextlib.suppress(OSError), TraceWriter(Path(place, _TRACE)) as writer:
        ending = record_program(program, writer, Options(limits=limits, whole_process=True))
    if ending.error is not None and not ending.forked:
        write_whole(answer, json.dumps({"error": _describe(ending.error)}))


def _describe(error: BaseException) -> str:
    """The last line of a traceback."""
    try:
        return traceback.format_exception_only(error)[-1].strip()
    except Exception:  # a `__str__` of the program's own
        return type(error).__name__


def _run(
    command: Sequence[str], hash_seed: str | None, folder: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    seed = {} if hash_seed is None else {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**os.environ, **seed},
    )


def _read_answer(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        answer: dict[str, Any] = json.loads(path.read_bytes())
        return answer
    return {}  # the program ended its process by itself


def _last_line(stream: bytes) -> str:
    return stream.decode("utf-8", "replace").strip().rpartition("\n")[2]


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Your own project: every function that its tests call, as a trace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cwm_trace.errors import CwmTraceError

_TESTS_FAILED = 1
_NO_TESTS = 5


def record_pytest(folder: str, arguments: Sequence[str] = (), *, per_function: int = 10) -> Iterator[str]:
    """Run pytest in a folder, in a process of its own but not in a sandbox, and give the rows it recorded.

    The calls cannot be written down as source text (their arguments are objects), so these are lines of
    rows, not items.

    Args:
        folder: of the project.
        arguments: for pytest, such as `-k name`.
        per_function: calls of one function that are kept, the first ones that differ.

    Raises:
        CwmTraceError: there is no such folder, or pytest did not run any test.
    """
    if not os.path.isdir(folder):
        raise CwmTraceError(f"{folder or 'pytest:'} is not a folder: name the one in which pytest is to run")
    with tempfile.TemporaryDirectory(prefix="cwm-trace-") as place:
        path = Path(place) / "rows.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "cwm_trace.datasets.loaders.pytest_recorder"]
        command += [
            "-p",
            "no:xdist",
            f"--cwm-functions={path}",
            f"--cwm-per-function={per_function}",
            *arguments,
        ]
        ran = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        if ran.returncode not in (0, _TESTS_FAILED) or not path.exists():
            said = (ran.stdout + ran.stderr).strip().splitlines() or ["nothing"]
            reason = "it found no tests" if ran.returncode == _NO_TESTS else f"it said: {said[-1]}"
            raise CwmTraceError(f"pytest did not run in {folder}: {reason}")
        with open(path, encoding="utf-8", errors="surrogatepass", newline="\n") as lines:
            yield from (line.removesuffix("\n") for line in lines)

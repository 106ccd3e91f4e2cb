"""Executions of the user's own code, recorded as the user would run it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits, Outcome, Trace
from cwm_trace.storage import read_trace

LIMITS = Limits(max_frames=10_000, max_bytes=50_000_000, timeout=10.0)
"""Bounds of a real execution; what reaches one has no known end, and is excluded."""

HASH_SEEDS = ("0", "1")
"""`PYTHONHASHSEED` of the run that is compared with, and of the one that shows what depends on it."""


def record_own(path: str, call: str, limits: Limits, hash_seed: str) -> Trace:
    """Record the user's own script, or a call of a function in it, as `cwm-trace run` does.

    Raises:
        CwmTraceError: it cannot be read, compiled or recorded.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "own.trace.jsonl"
        command = ["run", "-q", "-o", str(output), *_limit_options(limits)]
        command += ["--call", call, path] if call else [path]
        done = _run_cwm_trace(command, hash_seed)
        if not output.exists():
            lines = _lines(done.stderr) or ["it recorded nothing"]
            raise CwmTraceError(lines[-1].removeprefix("cwm-trace: "))
        trace = read_trace(output)
        if not trace.frames and trace.outcome is Outcome.RAISED:
            lines = [line for line in _lines(done.stderr) if not line.startswith("cwm-trace: ")]
            raise CwmTraceError(
                f"it raises before its call: {lines[-1] if lines else 'it does not say what'}"
            )
        return trace


def record_pytest(path: str, limits: Limits) -> dict[str, tuple[Trace, ...]]:
    """Record each test of a pytest run, once with each hash seed; the traces by the names of their files.

    Raises:
        CwmTraceError: it ran no tests.
    """
    runs = []
    for hash_seed in HASH_SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            command = ["run", "--per-test", *_limit_options(replace(limits, timeout=None)), "-o", folder]
            done = _run_cwm_trace([*command, "-m", "pytest", "-q", path], hash_seed)
            runs.append({file.name: read_trace(file) for file in sorted(Path(folder).glob("*.jsonl"))})
            if not runs[0]:
                lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
                raise CwmTraceError(f"pytest {path} ran no tests: {lines[-1]}")
    return {name: tuple(run[name] for run in runs if name in run) for name in runs[0]}


def _lines(stream: bytes) -> list[str]:
    return [line for line in stream.decode("utf-8", "replace").splitlines() if line.strip()]


def _run_cwm_trace(arguments: list[str], hash_seed: str) -> subprocess.CompletedProcess[bytes]:
    """Run our own command with a hash seed; its output is kept from the terminal."""
    return subprocess.run(
        [sys.executable, "-m", "cwm_trace", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )


def _limit_options(limits: Limits) -> list[str]:
    options: list[str] = []
    for name, value in (
        ("--max-frames", limits.max_frames),
        ("--max-bytes", limits.max_bytes),
        ("--max-depth", limits.max_depth),
        ("--timeout", limits.timeout),
    ):
        options += [] if value is None else [name, str(value)]
    return options

"""The command line: in this process, or, where that is the point, as a user runs it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cwm_trace.cli import reporter
from cwm_trace.cli.main import main
from tests.effort import HANGS

Result = subprocess.CompletedProcess[str]
Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call `cwm-trace ARGUMENTS` in the test's own folder, without a process of its own.

    Not for `run` with a program: that one takes over the process.
    """

    def call(*arguments: str, stdin: str = "", columns: int = 120) -> Result:
        streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
        code: object = 0
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setenv("COLUMNS", str(columns))
            patch.setattr(sys, "argv", ["cwm-trace", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
            patch.setattr(reporter, "SECONDS", float("inf"))  # no line that depends on the clock
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            try:
                main()
            except SystemExit as ended:
                code = ended.code
        out, err = (_read(stream) for stream in streams.values())
        return subprocess.CompletedProcess(arguments, code if isinstance(code, int) else 0, out, err)

    return call


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def run_shell(folder: Path, *arguments: str, stdin: str = "", columns: int = 120) -> Result:
    """Run `cwm-trace ARGUMENTS` in a folder, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cwm_trace", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
        env={**os.environ, "COLUMNS": str(columns), "PYTHONHASHSEED": "0"},
    )


@pytest.fixture
def shell(tmp_path: Path) -> Cli:
    """Run `cwm-trace ARGUMENTS` in the test's own folder, in a process of its own."""
    return partial(run_shell, tmp_path)

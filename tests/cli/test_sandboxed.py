"""`cwm-trace run --sandbox`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwm_trace.storage import read_trace
from tests.cli.conftest import Cli


def test_streams_exit_code_and_trace_are_the_programs(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import sys, helper\nprint(helper.double(int(sys.argv[1])))\n"
        "print('err', file=sys.stderr)\nsys.exit(3)\n"
    )
    (tmp_path / "helper.py").write_text("def double(x):\n    return 2 * x\n")
    for name, sandbox in (("plain", []), ("sandboxed", ["--sandbox"])):
        result = shell("run", *sandbox, "-q", "-o", f"{name}.jsonl", "script.py", "21")
        assert (result.stdout, result.stderr, result.returncode) == ("42\n", "err\n", 3)
    plain, sandboxed = (read_trace(tmp_path / f"{name}.jsonl") for name in ("plain", "sandboxed"))
    assert sandboxed.frames == plain.frames
    assert sandboxed.files == plain.files
    assert (sandboxed.outcome, sandboxed.program.arguments) == (plain.outcome, plain.program.arguments)


def test_a_call_and_code(shell: Cli, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def f(x):\n    return x + 1\n")
    assert shell("run", "--sandbox", "--call", "f(2)", "f.py").returncode == 0
    value = read_trace(tmp_path / "f.trace.jsonl").value
    assert value is not None
    assert value.text == "3"
    assert shell("run", "--sandbox", "-c", "print(1)").stdout == "1\n"


@pytest.mark.parametrize(
    ("code", "options", "outcome", "status"),
    [
        ("while True:\n    pass", ["--max-frames", "50"], "frame-limit", 137),
        ("import time\ntime.sleep(60)", ["--timeout", "1"], "timed-out", 124),
        ("1 / 0", [], "raised", 1),
        ("import os\nos._exit(5)", [], "exited", 5),
    ],
)
def test_a_program_that_has_to_be_ended(
    shell: Cli, code: str, options: list[str], outcome: str, status: int
) -> None:
    result = shell("run", "--sandbox", "--json", *options, "-c", code)
    assert result.returncode == status
    assert json.loads(result.stdout)["outcome"] == outcome


def test_a_module_is_refused(shell: Cli) -> None:
    result = shell("run", "--sandbox", "-m", "json")
    assert result.returncode == 2
    assert "does not go with -m" in result.stderr

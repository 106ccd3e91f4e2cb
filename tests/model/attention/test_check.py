"""The check kit without a GPU: the CPU engines, or one sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.check import __main__ as kit
from cwm_trace.model.attention.check.cases import Case, expect
from tests.effort import HANGS
from tests.model.attention.requirements import needs_nvrtc, needs_simulator

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: run the check kit itself")


@needs_simulator
@needs_nvrtc
def test_report_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.report(cases=3, repeats=2, everything=True) == 0
    said = capsys.readouterr().out
    assert (
        "no GPU: the kernels run in the engines of the tests, on the CPU; nothing here is about time" in said
    )
    assert "the simulator: 3 cases against float64, 0 wrong" in said
    for arch in (80, 90, 100, 120):
        assert f"the emulator of sm_{arch}: 2 of 2 repeats have the same bits" in said


def test_wrong_results_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    calls = 0

    def attend(case: Case) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        nonlocal calls
        calls += 1
        out, lse = expect(case)
        return out + calls, lse, []

    assert kit.check("a broken GPU", attend, cases=2, repeats=3) == 3
    said = capsys.readouterr().out
    assert "WRONG seed 0: " in said
    assert "a broken GPU: 0 of 3 repeats have the same bits" in said


def test_an_installed_package_has_no_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kit, "ROOT", tmp_path)
    with pytest.raises(
        CwmTraceError, match="the CPU engines are in the repository only: run this in a clone"
    ):
        kit.report(1, 1, True)


def test_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    package = tmp_path / "cwm_trace"
    shutil.copytree(kit.ROOT / "cwm_trace", package, symlinks=False)
    command = [sys.executable, "-m", "cwm_trace.model.attention.check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANGS, check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("cwm-trace: ")]
    assert "run this in a clone of it" in line

"""Standard error is ours: what other packages say while they are imported stays away."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.effort import HANGS


@pytest.mark.ci
def test_packages_say_nothing_while_they_are_imported() -> None:
    """In a process of its own: in this one they have spoken already."""
    program = (
        "from cwm_trace.cli.silence import silence_packages as s; s(); import torch, torchao.quantization"
    )
    pytest.importorskip("torchao")
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANGS, check=True
    )
    assert result.stderr == result.stdout == ""

"""No kernel spills, none takes more registers than its launch bound allows, and the docs' table is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwm_trace.model.attention.nvrtc import find_nvrtc
from cwm_trace.model.attention.resources import make_table, read_log
from tests.model.attention.programs import compile_own
from tests.model.attention.requirements import needs_nvrtc

PAGE = Path(__file__).parents[3] / "docs" / "attention.md"


@needs_nvrtc
@pytest.mark.ci  # compiles every variant for every architecture
def test_no_spills_and_the_table_of_the_docs() -> None:
    table, faults = make_table(compile_own)
    assert faults == []
    if f"| NVRTC {find_nvrtc().version} |" not in PAGE.read_text("utf-8"):
        pytest.skip(f"the docs' table is of another version than NVRTC {find_nvrtc().version}")
    assert table in PAGE.read_text("utf-8")


def test_spills_are_seen() -> None:
    log = (
        "ptxas info    : Compiling entry function 'attend_64' for 'sm_90'\n"
        "ptxas         .     24 bytes stack frame, 28 bytes spill stores, 44 bytes spill loads\n"
        "ptxas info    : Used 128 registers, used 1 barriers\n"
    )
    assert read_log(log) == {"attend_64": (128, 96)}

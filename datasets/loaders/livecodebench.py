"""LiveCodeBench's execution scenario (Jain et al. 2024, arXiv 2403.07974): solutions of contests."""

from __future__ import annotations

from collections.abc import Iterator

import pydantic

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.published_rows import read_hub, read_models


class _Row(pydantic.BaseModel):
    id: str | int
    function_name: str
    code: str
    input: str
    output: str


def load_livecodebench(path: str = "") -> Iterator[Item]:
    """The calls of the execution scenario; split `test`.

    Args:
        path: a JSON Lines file or array; empty: `livecodebench/execution-v2` on the hub.

    Raises:
        CwmTraceError: the file or the hub cannot be read, or a row is none.
    """
    what = "a row of LiveCodeBench's execution scenario"
    rows = (
        read_models(path, _Row, what) if path else read_hub("livecodebench/execution-v2", "test", _Row, what)
    )
    for row in rows:
        source = row.code if row.code.endswith("\n") else row.code + "\n"
        call = call_of(row.function_name, row.input)
        name = f"livecodebench/{row.id}"
        yield Item(name, source, call, "livecodebench", split="test", expected=row.output)


def call_of(function: str, given: str) -> str:
    """The call of a row, whose input is the call itself or its arguments."""
    given = given.strip()
    return given if given.startswith(f"{function}(") else f"{function}({given})"

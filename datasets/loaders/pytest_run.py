"""Your own project: every function that its tests call, as a trace of its own."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence

from cwm_trace.datasets.function_traces import FunctionTrace, split_functions
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.rows import write_row
from cwm_trace.errors import CwmTraceError
from cwm_trace.own_process import record_tests
from cwm_trace.plain import SourceLines, frame_fields, lines_of_fields
from cwm_trace.records import Limits, Outcome, Program, Run, SourceFile, Trace

_LIMITS = Limits(max_frames=100_000, max_bytes=64 * 2**20, max_value_chars=10_000)
"""Of the recording of each test."""


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
    root = os.path.realpath(folder)
    seen: set[str] = set()
    counts: Counter[tuple[str, str]] = Counter()
    tests = record_tests(arguments, folder=folder, limits=_LIMITS, hash_seed="0", all_frames=True)
    for _, test in tests:
        sources = SourceLines(test.files)
        frames = [frame_fields(frame, sources) for frame in test.frames]
        for function in split_functions(test.files, frames):
            where = os.path.relpath(function.files[0].name, root), function.name
            first = json.dumps([*where, function.frames[0].get("changed")])
            if first not in seen and counts[where] < per_function:
                seen.add(first)
                yield _write_row(function, root, test.run.python, counts[where])
                counts[where] += 1


def _write_row(function: FunctionTrace, root: str, python: str, number: int) -> str:
    files = tuple(SourceFile(os.path.relpath(file.name, root), file.text) for file in function.files)
    trace = Trace(
        Program(files, function.name, function.line),
        outcome=Outcome.RAISED if function.raised else Outcome.RETURNED,
        run=Run(python=python),
    )
    name = f"pytest/{files[0].name}/{function.name}/{number}"
    row = write_row(Item(name, files[0].text, "", "pytest"), trace, lines_of_fields(function.frames))
    return row.decode("utf-8", "surrogatepass")

"""The pytest plugin behind `pytest_run`: records each test, writes a row for each function called in it."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from cwm_trace.datasets.functions import FunctionTrace, split_functions
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.rows import write_row
from cwm_trace.plain import lines_of_fields
from cwm_trace.records import Limits, Outcome, Program, Run, SourceFile, Trace
from cwm_trace.tracer.session import Block, Fields, Options

_LIMITS = Limits(max_frames=100_000, max_bytes=64 * 2**20, max_value_chars=10_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that `pytest_run` gives."""
    group = parser.getgroup("cwm-trace")
    group.addoption("--cwm-functions", metavar="FILE", help="write a row for each function call")
    group.addoption("--cwm-per-function", type=int, default=10, help="calls of one function that are kept")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the file."""
    path = config.getoption("--cwm-functions")
    if path is not None:
        config.pluginmanager.register(_Recorder(Path(path), config), "cwm-functions")


class _Recorder:
    def __init__(self, path: Path, config: pytest.Config) -> None:
        self._file = open(path, "w", encoding="utf-8", errors="surrogatepass", newline="\n")  # noqa: SIM115 (closed at the end of the session)
        self._root = str(config.rootpath)
        self._per_function: int = config.getoption("--cwm-per-function")
        self._counts: Counter[tuple[str, str]] = Counter()
        self._seen: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Record one test."""
        sink = Fields()
        block = Block(sink, Options(limits=_LIMITS), str(item.path), root=self._root)
        block.start()
        raised = None
        try:
            return (yield)
        except BaseException as error:
            raised = type(error)
            raise
        finally:
            block.stop(raised)
            for function in split_functions(sink.files, sink.frames):
                self._write(function)

    def pytest_sessionfinish(self) -> None:
        """End the file."""
        self._file.close()

    def _write(self, function: FunctionTrace) -> None:
        name = os.path.relpath(function.files[0].name, self._root)
        where = name, function.name
        first = json.dumps([*where, function.frames[0].get("changed")])
        if first in self._seen or self._counts[where] >= self._per_function:
            return
        self._seen.add(first)
        number = self._counts[where]
        self._counts[where] += 1
        files = tuple(
            SourceFile(os.path.relpath(file.name, self._root), file.text) for file in function.files
        )
        trace = Trace(
            Program(files, function.name, function.line),
            outcome=Outcome.RAISED if function.raised else Outcome.RETURNED,
            run=Run(python=platform.python_version()),
        )
        item = Item(f"pytest/{name}/{function.name}/{number}", files[0].text, "", "pytest")
        self._file.write(write_row(item, trace, lines_of_fields(function.frames)) + "\n")

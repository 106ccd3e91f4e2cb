"""The pytest plugin: a `cwm_trace` fixture, and one trace per test with `--cwm-trace=FOLDER`."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from types import CodeType

import pytest

from cwm_trace.recording import Recording, record

_MAX_NAME = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cwm-trace`."""
    group = parser.getgroup("cwm-trace")
    group.addoption("--cwm-trace", metavar="FOLDER", help="record each test to a trace file in FOLDER")
    group.addoption(
        "--cwm-trace-options",
        metavar="JSON",
        default="{}",
        help="how to record: the options that cwm-trace run --per-test was given",
    )
    group.addoption(
        "--cwm-trace-redact",
        metavar="NAME|REGEX",
        action="append",
        default=[],
        help="write no values of this name, nor text that matches; 'default' means the usual names",
    )


@pytest.fixture(name="cwm_trace")
def record_fixture() -> Callable[..., Recording]:
    """Record part of a test: `with cwm_trace() as recording: …`, then `recording.trace`."""
    return record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Record the call of one test; its fixtures are not part of it."""
    folder = item.config.getoption("--cwm-trace")
    if folder is None:
        return (yield)
    from cwm_trace.records import Limits
    from cwm_trace.storage import TraceWriter
    from cwm_trace.tracer.session import Block, Options

    how = json.loads(item.config.getoption("--cwm-trace-options"))
    all_frames, suffix = how.pop("all_frames", False), how.pop("suffix", "")
    redact = [*how.get("redact", ()), *item.config.getoption("--cwm-trace-redact")]
    options = Options(**{**how, "limits": Limits(**how.get("limits", {})), "redact": redact})

    Path(folder).mkdir(parents=True, exist_ok=True)
    with TraceWriter(Path(folder) / (trace_name(item.nodeid) + suffix)) as writer:
        root = str(item.config.rootpath)
        entry = None if all_frames else _code_of(item)
        block = Block(writer, options, str(item.path), root=root, entry=entry)
        block.start()
        raised = None
        try:
            return (yield)
        except BaseException as error:
            raised = type(error)
            raise
        finally:
            try:
                block.stop(raised)
            except OSError as error:  # the test's own verdict stands
                warnings.warn(pytest.PytestWarning(f"{writer.path}: {error.strerror}"), stacklevel=1)


def trace_name(node: str) -> str:
    """The file name for a test: its id, as far as file names allow, and a digest where that is not all."""
    name = re.sub(r"[^\w.=-]+", "-", node).strip("-")
    _, _, parameters = node.partition("[")
    if len(name) > _MAX_NAME or re.search(r"[^\w.=-]", parameters.removesuffix("]")):
        name = f"{name[:_MAX_NAME]}-{hashlib.sha256(node.encode()).hexdigest()[:8]}"
    return f"{name}.trace.jsonl"


def _code_of(item: pytest.Item) -> CodeType | None:
    function = inspect.unwrap(getattr(item, "obj", None) or (lambda: None))
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) and hasattr(item, "obj") else None

"""The version of the package and those of its files. Older files stay readable: every step from one is here.

A reader migrates a line, as plain data, before it checks it. A newer file is refused, since nobody here knows
what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError

Line = dict[str, Any]

VERSION = "0.1.0.dev0"
"""Of the package, as `pyproject.toml` has it."""
TRACE_VERSION = 3
"""Of trace files. 2: `decoding` says everything that changes an answer. 3: and the engine that computes."""
LOG_VERSION = 3
"""Of benchmark logs. 2, 3: the same; 3: and samples, refusals, what a reader passed over, answers by `==`."""
PACKED_VERSION = 2
"""Of packed sequences. 2: positions; a separator has the field of the text that it ends."""


def check_version(path: Path, version: object, newest: int) -> int:
    """The version of a file, if it can be read here.

    Raises:
        CwmTraceError: it is newer, or none.
    """
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CwmTraceError(f"{path} is damaged: {version!r} is no schema version")
    if version > newest:
        raise CwmTraceError(
            f"{path} was written by a newer cwm-trace: it has schema version {version}, and this one reads up"
            f" to {newest}; update cwm-trace"
        )
    return version


def migrate_trace_line(line: Line, version: int) -> Line:
    """A line of a trace file in today's form."""
    return _migrate(line, version, _TRACE_STEPS)


def migrate_log_line(line: Line, version: int) -> Line:
    """A line of a benchmark's log in today's form."""
    return _migrate(line, version, _LOG_STEPS)


def _migrate(line: Line, version: int, steps: tuple[Callable[[Line], Line], ...]) -> Line:
    for step in steps[version - 1 :]:
        line = step(line)
    return line


def _trace_from_1(line: Line) -> Line:
    if line.get("kind") != "header":
        return line
    return {**line, "decoding": _decoding_from_1(line.get("decoding")), "schema_version": 2}


def _log_from_1(line: Line) -> Line:
    match line.get("kind"):
        case "header":
            return {**line, "decoding": _decoding_from_1(line.get("decoding")), "schema_version": 2}
        case "program" if isinstance(line.get("stored"), dict):
            stored = line["stored"]
            return {**line, "stored": {**stored, "decoding": _decoding_from_1(stored.get("decoding"))}}
        case _:
            return line


def _trace_from_2(line: Line) -> Line:
    if line.get("kind") != "header":
        return line
    return {**line, "decoding": _decoding_from_2(line.get("decoding")), "schema_version": 3}


def _log_from_2(line: Line) -> Line:
    match line.get("kind"):
        case "header":
            return {**line, "decoding": _decoding_from_2(line.get("decoding")), "schema_version": 3}
        case "program" if isinstance(line.get("stored"), dict):
            stored = line["stored"]
            return {**line, "stored": {**stored, "decoding": _decoding_from_2(stored.get("decoding"))}}
        case _:
            return line


def _decoding_from_1(decoding: Any) -> Any:
    """`constrained` became the level of the grammar, and a greedy prediction has a seed too."""
    if not isinstance(decoding, dict):
        return decoding
    fields = {**decoding, "grammar": "frame" if decoding.get("constrained") else "none"}
    fields.pop("constrained", None)
    if fields.get("seed") is None:
        fields["seed"] = 0
    return fields


def _decoding_from_2(decoding: Any) -> Any:
    """Our own engine was PyTorch's only."""
    if not isinstance(decoding, dict):
        return decoding
    return {**decoding, "engine": "torch" if decoding.get("predictor") == "local" else ""}


_TRACE_STEPS: tuple[Callable[[Line], Line], ...] = (_trace_from_1, _trace_from_2)
_LOG_STEPS: tuple[Callable[[Line], Line], ...] = (_log_from_1, _log_from_2)

"""Running generated programs: in this process under a tracer that only counts, and in children.

`python -m tests.datasets.programs NAME COUNT SPLIT` prints one line for each item: its id, how it ended, a
digest of its source and of its result. Other interpreters and hash seeds must print the same.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from cwm_trace.datasets.families import make_items
from cwm_trace.datasets.item import Item


class Run(NamedTuple):
    """How a run went: its outcome, `repr` of the result or error, its line events."""

    outcome: str
    result: str
    lines: int


def run(item: Item) -> Run:
    """Run an item; one that goes over its bound is stopped there."""
    lines = 0
    limit = item.max_lines or 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != "<program>":
            return None
        lines += event == "line"
        if lines > limit:
            raise SystemExit(f"{item.id} goes over its bound of {limit} line events")
        return trace

    module = ModuleType("program")
    sys.modules["program"] = module  # dataclasses look their module up
    code = compile(item.source, "<program>", "exec")
    entry = compile(f"def main():\n    return {item.call}\n", "<program>", "exec").co_consts[0]
    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        exec(code, module.__dict__)
        result = eval(entry, module.__dict__)
        outcome = "returned"
    except Exception as error:
        outcome, result = "raised", error
    finally:
        sys.settrace(previous)
    return Run(outcome, re.sub(r" at 0x[0-9a-f]+", "", repr(result)), lines)


def report(name: str, count: int, split: str) -> Iterator[str]:
    """A line for each item."""
    for item in make_items(name, count, split=split):
        done = run(item)
        text = "\n".join((item.source, item.call, done.result))
        yield f"{item.id} {done.outcome} {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


if __name__ == "__main__":
    for line in report(sys.argv[1], int(sys.argv[2]), sys.argv[3]):
        print(line)

"""Running generated programs under a tracer that only counts, and telling whether two sets are the same.

`python -m tests.datasets.programs` writes `goldens.json` again: do that for a family changed on purpose,
and say so in the changelog.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from cwm_trace.datasets.families import FAMILIES, PRESETS, make_items
from cwm_trace.datasets.item import SPLITS, Item
from cwm_trace.datasets.twins import TWINS, make_twin

GOLDENS = Path(__file__).parent / "goldens.json"


class Run(NamedTuple):
    """How a run went: its outcome, `repr` of the result or error and what it printed, its line events."""

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

    name = "program" if item.call else "__main__"
    module = ModuleType(name)
    code = compile(item.source, "<program>", "exec")
    entry = compile(f"def main():\n    return {item.call}\n", "<program>", "exec").co_consts[0]
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their module up
    printed = io.StringIO()
    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        with redirect_stdout(printed):
            exec(code, module.__dict__)
            result = eval(entry, module.__dict__)
        outcome = "returned"
    except Exception as error:
        outcome, result = "raised", error
    finally:
        sys.settrace(previous)
        if before is not None:
            sys.modules[name] = before
    said = repr(result) + printed.getvalue()
    return Run(outcome, re.sub(r" at 0x[0-9a-f]+", "", said), lines)


def report(name: str, count: int, split: str) -> Iterator[str]:
    """A line for each item: its id, how it ended, a digest of its source and result; twins of some, too."""
    for place, item in enumerate(make_items(name, count, split=split)):
        done = run(item)
        twins = [make_twin(item, kind) for kind in TWINS] if place % 6 == 0 else []
        texts = (item.source, item.call, done.result, *[twin.source for twin in twins if twin])
        yield f"{item.id} {done.outcome} {hashlib.blake2b(repr(texts).encode(), digest_size=8).hexdigest()}"


def digest(name: str) -> str:
    """Of the first items of every split."""
    text = "".join(item.source + item.call for split in SPLITS for item in make_items(name, 50, split=split))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


if __name__ == "__main__":
    digests = {name: digest(name) for name in (*FAMILIES, *PRESETS)}
    GOLDENS.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")

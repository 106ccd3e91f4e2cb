from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given

from cwm_trace import read_trace
from cwm_trace.eval.comparison.alignment import NO_MASK, Mask
from cwm_trace.eval.comparison.disagreement import mask_differences
from cwm_trace.eval.comparison.equality import Equality
from cwm_trace.eval.comparison.score import score_program
from cwm_trace.records import Event, Frame, Guess, Outcome, Program, Slot, SourceFile, Trace
from tests.effort import HANGS
from tests.traces import traces

PROGRAM = (
    "def f():\n    s = {'a', 'b', 'c', 'd', 'e'}\n    first = list(s)\n    n = len(first)\n    return n\n"
)


@given(traces())
def test_a_run_that_repeats_has_no_mask(trace: Trace) -> None:
    assert mask_differences(trace, trace) == NO_MASK


def test_values_and_steps() -> None:
    text = "x = 1\nif x:\n    y = 2\nz = 3\n"
    lines = text.split("\n")

    def at(event: Event, line: int, value: str | None = None, **changed: str) -> Frame:
        slots = {name: Slot(text) for name, text in changed.items()}
        return Frame(
            event, line, lines[line - 1], changed=slots, value=None if value is None else Slot(value)
        )

    start = Trace(Program((SourceFile("p.py", text),), "<module>"), outcome=Outcome.RETURNED)
    frames = (at(Event.CALL, 1), at(Event.LINE, 1), at(Event.LINE, 2, x="1"), at(Event.RETURN, 2, "1"))
    other = (at(Event.CALL, 1), at(Event.LINE, 1), at(Event.LINE, 2, x="9"), at(Event.RETURN, 2, "9"))
    one, two = replace(start, frames=frames), replace(start, frames=other)
    assert mask_differences(one, two) == Mask({2: frozenset({"x"})}, frozenset({3}))
    shorter = replace(two, frames=(*other[:2], other[3]))
    assert mask_differences(one, shorter) == Mask(values=frozenset({3}), end=2)
    same = replace(shorter, frames=(*other[:2], frames[3]))
    assert mask_differences(one, same) == Mask(end=2)


def record(folder: Path, seed: str) -> Trace:
    path = folder / f"{seed}.jsonl"
    command = [sys.executable, "-m", "cwm_trace", "run", "--call", "f()", "-o", str(path), "p.py"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=HANGS, capture_output=True)
    return read_trace(path)


def test_another_hash_seed_masks_the_order_of_a_set(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PROGRAM)
    first, second = record(tmp_path, "1"), record(tmp_path, "2")
    mask = mask_differences(first, second)
    assert set().union(*mask.names.values()) == {"s", "first"}
    assert mask.end is None
    typed = mask_differences(first, second, Equality.TYPED)
    assert set().union(*typed.names.values()) == {"first"}  # as sets they are equal
    prediction = replace(second, guess=Guess(mode="free", given=1))
    score = score_program(first, prediction, masked=mask)
    assert score.masked == sum(map(len, mask.names.values())) > 0
    assert score.frames.false_negatives == 0
    assert score_program(first, prediction).frames.false_negatives > 0
    assert score.output is True

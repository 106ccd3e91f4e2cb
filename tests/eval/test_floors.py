"""The floors that the baselines set on CRUXEval, computed once more with nothing of ours but the recording.

Reads the path in `CWM_TRACE_CRUXEVAL` and skips without it.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeGuard

import pytest

from cwm_trace import Trace, trace_execution
from cwm_trace.datasets.loaders.cruxeval import load_cruxeval
from cwm_trace.eval.comparison.score import ProgramScore, score_program
from cwm_trace.eval.local_steps.step_accuracy import score_local_steps
from cwm_trace.predict.baselines import BASELINES
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Event, Guess

PATH = os.environ.get("CWM_TRACE_CRUXEVAL", "")
pytestmark = pytest.mark.skipif(not PATH, reason="CWM_TRACE_CRUXEVAL names no file")
MODES = ["free", "forced", "forced-event", "forced-state", "reground-4", "output", "step-over"]


@pytest.fixture(scope="module")
def recorded() -> list[Trace]:
    return [trace_execution(item.code, call=item.call, capture_output=True) for item in load_cruxeval(PATH)]


def scores(name: str, mode: str, recorded: list[Trace]) -> list[ProgramScore]:
    found = []
    for trace in recorded:
        start = replace(trace, frames=trace.frames[:1])
        found.append(score_program(trace, BASELINES[name]().predict(Request(start, mode, trace))))
    return found


def line_states(trace: Trace) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Texts before and at every LINE frame, by hand: `changed` is applied to a dict per activation."""
    states: dict[int, dict[str, str]] = {}
    for frame in trace.frames:
        before = dict(states.get(frame.activation, {}))
        after = dict(before)
        for name, slot in frame.changed.items():
            after.pop(name, None)
            if slot is not None:
                after[name] = slot.text
        states[frame.activation] = after
        if frame.event is Event.LINE:
            yield before, after


def test_copying_is_right_where_nothing_changed(recorded: list[Trace]) -> None:
    """44.1 % (micro) and 59.2 % (macro) of all 800, the one line of `main` left out; here of their subset."""
    found = scores("copy", "forced-event", recorded)
    same = lines = 0
    macro = []
    for trace, score in zip(recorded, found, strict=True):
        steps = list(line_states(trace))
        right = sum(before == after for before, after in steps)
        calls = [frame for frame in trace.frames[1:] if frame.event is Event.CALL]
        assert score.states.hits == right + sum(not frame.changed for frame in calls)
        assert score.states.total == len(steps) + len(calls)
        assert steps[0] == ({}, {})  # that line
        same, lines = same + right - 1, lines + len(steps) - 1
        macro.append((right - 1) / (len(steps) - 1))
    assert same / lines == pytest.approx(0.441, abs=0.03)
    assert sum(macro) / len(macro) == pytest.approx(0.592, abs=0.03)


def has_frame(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.expr]:
    return isinstance(
        node, ast.FunctionDef | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda
    )


def test_the_next_line_of_the_text(recorded: list[Trace]) -> None:
    """60.9 % of all 800: the next line with code on it in the function, or else its return."""
    found = scores("copy", "forced", recorded)
    hits = total = 0
    for trace, score in zip(recorded, found, strict=True):
        text = trace.files[0].text
        lines = text.split("\n")
        code = [n for n, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")]
        ends = {node.lineno: node.end_lineno or 0 for node in ast.walk(ast.parse(text)) if has_frame(node)}
        right, stack = 0, list[tuple[int, int]]()
        for frame in trace.frames:
            if stack:
                end, line = stack[-1]
                after = next((n for n in code if line < n <= end), None)
                said = (Event.RETURN, line) if after is None else (Event.LINE, after)
                right += said == (frame.event, frame.line)
            if frame.event is Event.CALL:
                stack.append((ends[frame.line], frame.line))
            elif frame.event is Event.RETURN:
                stack.pop()
            else:
                stack[-1] = (stack[-1][0], frame.line)
        assert score.next_lines.true_positives == right
        hits, total = hits + right, total + score.length
    assert hits / total == pytest.approx(0.609, abs=0.03)


def test_changed_slots_are_a_fifth_of_all(recorded: list[Trace]) -> None:
    """18.4 % of all 800."""
    found = scores("copy", "forced", recorded)
    changed = slots = 0
    for trace, score in zip(recorded, found, strict=True):
        by_hand = sum(
            before.get(name) != after.get(name)
            for before, after in line_states(trace)
            for name in before.keys() | after.keys()
        )
        by_hand += sum(len(f.changed) for f in trace.frames[1:] if f.event is Event.CALL)
        assert score.changed_slots.false_negatives == by_hand
        changed += by_hand
        slots += sum(len(after) for _, after in line_states(trace))
    assert changed / slots == pytest.approx(0.184, abs=0.05)


@pytest.mark.parametrize("mode", MODES)
def test_the_oracle_is_right(mode: str, recorded: list[Trace]) -> None:
    for score in scores("oracle", mode, recorded):
        assert score.frames.f1 == 1
        assert score.states.value in (None, 1)
        assert score.changed_slots.f1 in (None, 1)
        assert score.branches.value in (None, 1)
        assert (score.output, score.tau_observed, score.stale.hits, score.spurious.hits) == (
            True,
            False,
            0,
            0,
        )
        assert score.trace_exact in (None, True)
        assert score.path_exact in (None, True)


def test_the_oracle_computes_every_covered_step(recorded: list[Trace]) -> None:
    found = score_local_steps(
        [(replace(trace, guess=Guess(mode="free", given=1)), trace) for trace in recorded]
    )
    accuracies, coverages = [f.accuracy for f in found], [f.coverage for f in found]
    assert all(rate.hits == rate.total for rate in accuracies)
    assert sum(rate.hits for rate in coverages) > 0.5 * sum(rate.total for rate in coverages)


@pytest.mark.parametrize("name", ["copy", "unchanged", "frequent", "halt"])
def test_copying_earns_nothing(name: str, recorded: list[Trace]) -> None:
    found = scores(name, "forced", recorded)
    assert sum(score.changed_slots.true_positives for score in found) == 0
    assert not any(score.output for score in found)

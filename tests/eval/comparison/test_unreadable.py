from __future__ import annotations

from dataclasses import replace

import pytest

from cwm_trace import parse_trace, render_prompt, render_trace, trace_execution
from cwm_trace.eval.comparison.metrics import Retrieval
from cwm_trace.eval.comparison.score import score_program


@pytest.mark.parametrize(("old", "new"), [('{"n": "2"}', "{"), ('{"n": ".."}', "[]"), ('"3"', "3")])
def test_a_state_or_value_that_cannot_be_read_is_not_right(old: str, new: str) -> None:
    real = trace_execution("def f(n):\n    m = n\n    return m + 1\n", call="f(2)")
    prompt = render_prompt(real)
    text = render_trace(real).removeprefix(prompt)
    assert old in text
    begun = replace(real, frames=real.frames[:1])
    read = parse_trace(text.replace(old, new, 1), program=begun)
    predicted = replace(read, guess=replace(read.guess, mode="free"))
    found = score_program(real, predicted)
    assert 0 < found.frames.true_positives < found.length  # what stands on it may be lost as well
    assert found.tau_observed
    read = parse_trace(text, program=begun)
    whole = score_program(real, replace(read, guess=replace(read.guess, mode="free")))
    assert whole.frames == Retrieval(whole.length, 0, 0)

"""What is counted on the way, on a model whose answers are known."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cwm_trace.api import trace_execution
from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace, tokenize_trace
from cwm_trace.model.tokens import read_tokens
from cwm_trace.model.training.evaluation import evaluate
from cwm_trace.wire.tokens import Special


class Answers:
    """Says the next token of what it reads, but for some places."""

    training = True

    def __init__(self, wrong: set[int]) -> None:
        self.wrong = wrong

    def __call__(self, ids: Tensor, use_cache: bool) -> Any:
        shifted = ids.roll(-1, dims=1)
        for place in self.wrong:
            shifted[0, place - 1] = (shifted[0, place - 1] + 1) % 400
        return SimpleNamespace(logits=torch.nn.functional.one_hot(shifted, 400).float())

    def eval(self) -> None:
        """Nothing to switch."""

    def train(self, mode: bool) -> None:
        """Nothing to switch."""


@pytest.fixture
def document(words: Path) -> TokenizedTrace:
    trace = trace_execution("def f(a):\n    b = a + 1\n    return b\n", call="f(41)")
    return tokenize_trace(
        trace, read_tokens(words)
    )  # CALL main | LINE, CALL f, LINE, LINE, RETURN, RETURN, end


def figures(words: Path, document: TokenizedTrace, wrong: set[int]) -> dict[str, float]:
    frame_end = read_tokens(words).ids[Special.FRAME]
    return evaluate(Answers(wrong), [document], frame_end, nullcontext())


def test_all_right(words: Path, document: TokenizedTrace) -> None:
    found = figures(words, document, set())
    assert {name: found[name] for name in ("frames", "traces", "changed_values", "event", "source")} == {
        "frames": 1.0,
        "traces": 1.0,
        "changed_values": 1.0,
        "event": 1.0,
        "source": 1.0,
    }


def test_one_wrong_digit_is_one_frame_and_one_value(words: Path, document: TokenizedTrace) -> None:
    changed = [place for place, mark in enumerate(document.fields) if mark == TokenField.CHANGED]
    found = figures(words, document, {changed[0], changed[1]})
    assert found["frames"] == pytest.approx(6 / 7, abs=1e-4)  # six frames and the end
    assert found["changed_values"] == pytest.approx(1 / 2)  # a, then b
    assert found["traces"] == 0.0
    assert found["source"] == found["event"] == 1.0


def test_a_wrong_end_is_a_wrong_frame(words: Path, document: TokenizedTrace) -> None:
    found = figures(words, document, {len(document.ids) - 1})
    assert found["frames"] == pytest.approx(6 / 7, abs=1e-4)
    assert found["event"] < 1.0

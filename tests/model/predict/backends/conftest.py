"""A small model that was taught a little: often right about the next token, and often wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.wire import TraceTokens, render_trace
from tests.model.pairs import save_checkpoint
from tests.model.predict.backends.programs import small_traces


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder."""
    return teach(save_checkpoint(tmp_path_factory.mktemp("taught")))


@pytest.fixture(scope="session")
def tokens(folder: Path) -> TraceTokens:
    """Its ids."""
    return TraceTokens.from_tokenizer(AutoTokenizer.from_pretrained(folder))


def teach(folder: Path, steps: int = 100) -> Path:
    """Train a checkpoint on a few traces."""
    torch.set_num_threads(1)
    model: Any = CwmForCausalLM.from_pretrained(folder)
    tokens = TraceTokens.from_tokenizer(AutoTokenizer.from_pretrained(folder))
    texts = [torch.tensor([render_trace(trace, tokens=tokens)]) for trace in small_traces()[:24]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    model.train()
    for step in range(steps):
        text = texts[step % len(texts)]
        model(text, labels=text).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    return folder

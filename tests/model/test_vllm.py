"""A real vLLM serves a checkpoint saved by ours: the same greedy tokens.

Skipped unless CWM_VLLM_PYTHON or CWM_VLLM_URL is set; docs/model.md says how to set up vLLM on a CPU.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from cwm_trace.api import predict_execution, trace_execution
from cwm_trace.datasets.families import make_item
from cwm_trace.model.chat import SYSTEM_PROMPT, encode_chat
from cwm_trace.model.decoding import generate
from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.training.stream import read_tokens
from cwm_trace.predict.registry import find_mini
from cwm_trace.wire import render_prompt
from tests.model.vllm_server import VllmServer, serve

pytestmark = pytest.mark.vllm
WINDOW = 6  # tokens, of the checkpoint's window layers


@pytest.fixture(scope="module")
def model(vllm_server: VllmServer) -> Any:
    loaded: Any = CwmForCausalLM.from_pretrained(vllm_server.checkpoint, dtype=torch.float32)
    return loaded.eval()


def draw(model: Any, lengths: list[int], seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    high = model.config.pad_token_id  # ordinary ids come first
    return [torch.randint(0, min(high, 256), (n,), generator=generator).tolist() for n in lengths]


def test_the_checkpoint_has_both_kinds_of_layers(model: Any) -> None:
    assert set(model.config.layer_types) == {"full_attention", "sliding_attention"}
    assert model.config.sliding_window == WINDOW


@pytest.mark.parametrize("length", [1, 3, WINDOW, WINDOW + 1, 40, 300])
def test_the_same_greedy_tokens(vllm_server: VllmServer, model: Any, length: int) -> None:
    prompts = draw(model, [length, length], seed=length)
    got = vllm_server.complete(prompts, 48, ignore_eos=True)
    assert got == generate(model, prompts, 48, stop_ids=())
    assert len({tuple(row) for row in got}) == 2  # not a model that always says the same


def test_a_batch_of_unequal_lengths(vllm_server: VllmServer, model: Any) -> None:
    prompts = draw(model, [2, 150, 7, 31, 80, 5, 64, 12])
    assert vllm_server.complete(prompts, 32, ignore_eos=True) == generate(model, prompts, 32, stop_ids=())


def test_generate_of_transformers_agrees(vllm_server: VllmServer, model: Any) -> None:
    prompt = draw(model, [50])[0]
    want = model.generate(torch.tensor([prompt]), max_new_tokens=32, do_sample=False, eos_token_id=None)
    assert vllm_server.complete([prompt], 32, ignore_eos=True) == [want[0, 50:].tolist()]


def test_a_chat_prompt_and_a_stop_token(vllm_server: VllmServer, model: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(vllm_server.checkpoint)
    messages = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": "return n + 1"}]
    prompt = encode_chat(tokenizer, messages)
    free = generate(model, [prompt], 24, stop_ids=())[0]
    stop = free[9]
    want = free[: free.index(stop) + 1]
    assert generate(model, [prompt], 24, stop_ids=[stop]) == [want]
    assert vllm_server.complete([prompt], 24, stop_token_ids=[stop], ignore_eos=True) == [want]


def test_the_bundled_model_is_served_as_it_stands(tmp_path: Path) -> None:
    python = os.environ.get("CWM_VLLM_PYTHON")
    if not python:
        pytest.skip("set CWM_VLLM_PYTHON")
    folder = find_mini()
    model, tokens = load_model(folder, dtype=torch.float32), read_tokens(folder / "tokenizer.json")
    programs = [make_item("general-v1", number, seed=78, split="test") for number in range(3)]
    traces = [trace_execution(item.source, call=item.call) for item in programs]
    prompts = [render_prompt(trace, given=given, tokens=tokens) for trace in traces for given in (1, 4)]
    with serve(python, folder, tmp_path / "server.log") as server:
        got = server.complete(prompts, 60, ignore_eos=True)
        guess = predict_execution(programs[0].source, call=programs[0].call, model=server.url, max_frames=4)
    assert got == generate(model, prompts, 60, stop_ids=())
    assert guess.frames[0] == traces[0].frames[0]
    assert len(guess.frames) > 1

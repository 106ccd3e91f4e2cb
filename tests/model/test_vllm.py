"""A real vLLM serves a checkpoint saved by ours: the same greedy tokens.

Skipped unless CWM_VLLM_PYTHON or CWM_VLLM_URL is set; docs/model.md says how to set up vLLM on a CPU.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from cwm_trace.model.chat import SYSTEM_PROMPT, encode_chat
from cwm_trace.model.decoding import generate
from cwm_trace.model.modeling import CwmForCausalLM
from tests.model.vllm_server import VllmServer

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

"""Small configs, and pairs of models with the same weights: ours, and transformers' own as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from transformers import CwmForCausalLM as Oracle

from cwm_trace.model.chat import SYSTEM_PROMPT
from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM
from cwm_trace.model.tokenizer import build_tokenizer, save_tokenizer

VOCABULARY = 99
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 16.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
ROPES: list[dict[str, Any]] = [
    LLAMA3,
    {"rope_type": "default", "rope_theta": 10_000.0},
    {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0},
    {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 8.0, "original_max_position_embeddings": 64},
]


def small_config(**changes: Any) -> CwmConfig:
    """Two window layers of 6 tokens and two global ones, 4 query heads on 2 key heads, and `changes`."""
    fields: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 6,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        "max_position_embeddings": 512,
        "rope_parameters": dict(LLAMA3),
        "bos_token_id": 1,
        "eos_token_id": [2],
        "pad_token_id": 0,
        "initializer_range": 0.1,
    }
    return CwmConfig(**{**fields, **changes})


@st.composite
def configs(draw: st.DrawFn) -> CwmConfig:
    """Every ratio of heads, windows shorter and longer than the text, every kind of layer_types."""
    layers = draw(st.integers(1, 4))
    kv_heads = draw(st.sampled_from([1, 2, 3]))
    heads = kv_heads * draw(st.sampled_from([1, 2, 6]))
    kind = st.sampled_from(["full_attention", "sliding_attention"])
    return small_config(
        num_hidden_layers=layers,
        layer_types=draw(st.none() | st.lists(kind, min_size=layers, max_size=layers)),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=draw(st.sampled_from([4, 8, 16])),
        hidden_size=8 * heads,
        # not 1: transformers' sliding cache then keeps everything (`keys[-0:]`), its mask expects nothing
        sliding_window=draw(st.sampled_from([2, 3, 8, 17, 64])),
        tie_word_embeddings=draw(st.booleans()),
        mlp_bias=draw(st.booleans()),
        rope_parameters=dict(draw(st.sampled_from(ROPES))),
    )


def pair(config: CwmConfig, seed: int = 0, attention: str = "eager") -> tuple[Any, Any]:
    """Build our model and the oracle with the same weights, ready to predict."""
    torch.manual_seed(seed)
    ours: Any = CwmForCausalLM(config)
    oracle: Any = Oracle(CwmConfig(**config.to_dict()))
    oracle.load_state_dict(ours.state_dict())
    ours.set_attn_implementation(attention)
    oracle.set_attn_implementation("eager")
    return ours.eval(), oracle.eval()


def save_checkpoint(folder: Path, dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
    """Save a whole checkpoint: weights, config, tokenizer with chat template. Heads of 32, as vLLM needs."""
    tokenizer = build_tokenizer([SYSTEM_PROMPT, "def f(n):\n    return n + 1\n"], 340)
    ids: Any = tokenizer.convert_tokens_to_ids
    torch.manual_seed(0)
    config = small_config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        head_dim=32,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, ids("<|eot_id|>")],
        pad_token_id=tokenizer.pad_token_id,
        **changes,
    )
    model: Any = CwmForCausalLM(config)
    model.to(dtype).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder


def tokens(batch: int, length: int, seed: int = 0) -> Tensor:
    """Draw ids `(batch, length)` that are neither padding, begin nor end."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY, (batch, length), generator=generator)


def distance(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return float((a - b).abs().max())

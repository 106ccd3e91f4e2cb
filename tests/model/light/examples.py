"""Random small models for NumPy, for our decoder on PyTorch, and for transformers: the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from transformers import CwmForCausalLM as Oracle

from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding_config import DecodingConfig, read_config
from cwm_trace.model.light.decoder import LightDecoder
from cwm_trace.model.modeling import CwmConfig

FULL, SLIDING = "full_attention", "sliding_attention"
VOCABULARY = 64
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Windows that bind, one to four queries for a key, tied heads, both kinds of rotary embedding."""
    layers = draw(st.lists(st.sampled_from([FULL, SLIDING]), min_size=1, max_size=3))
    kv_heads = draw(st.integers(1, 2))
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": draw(st.sampled_from([24, 48])),
        "intermediate_size": draw(st.sampled_from([8, 40])),
        "num_hidden_layers": len(layers),
        "num_attention_heads": kv_heads * draw(st.integers(1, 4)),
        "num_key_value_heads": kv_heads,
        "head_dim": draw(st.sampled_from([4, 16])),
        "sliding_window": draw(st.integers(1, 40)),
        "layer_types": layers,
        "max_position_embeddings": 1024,
        "rope_parameters": draw(st.sampled_from([LLAMA3, {"rope_type": "default", "rope_theta": 100.0}])),
        "rms_norm_eps": draw(st.sampled_from([1e-5, 0.1])),
        "tie_word_embeddings": draw(st.booleans()),
        "bos_token_id": 0,
        "eos_token_id": [1],
        "pad_token_id": 2,
    }


@dataclass(frozen=True)
class Trio:
    """One model three times."""

    light: LightDecoder
    torch: Decoder
    oracle: Any


def make_trio(fields: dict[str, Any], seed: int) -> Trio:
    """With weights that make logits differ by about one."""
    torch.manual_seed(seed)
    oracle: Any = Oracle(CwmConfig(**fields, initializer_range=0.25))
    oracle.eval()
    with torch.no_grad():
        for name, parameter in oracle.named_parameters():
            if name.endswith("norm.weight"):
                parameter.copy_(torch.rand_like(parameter) + 0.5)
    return Trio(light_decoder(oracle), Decoder(oracle), oracle)


def light_decoder(model: Any) -> LightDecoder:
    """The weights of a model in float32, in NumPy."""
    config = read_config(model.config.to_dict(), "config.json")
    assert isinstance(config, DecodingConfig)
    return LightDecoder(config, {name: tensor.numpy() for name, tensor in model.state_dict().items()})

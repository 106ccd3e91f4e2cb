"""`params.json` and `config.json` say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CwmConfig

from cwm_trace.model.params import config_from_params, params_from_config
from tests.effort import examples
from tests.model.checkpoints import (
    GLOBAL,
    WINDOW,
    meta_params,
)


@pytest.mark.parametrize(
    ("window", "layers", "expected"),
    [
        (None, 3, "GGG"),
        ({"window_pattern": 4, "local_window": 8}, 8, "GwwwGwwG"),  # Meta's default: the last layer is global
        ({"window_pattern": 4, "local_window": 8, "global_last_layer": False}, 8, "GwwwGwww"),
        ({"window_pattern": 4, "local_window": 8, "global_window": 64}, 5, "GwwwG"),
        ({"window_pattern": 1}, 3, "GGG"),
        ({"local_window": 8}, 8, "GwwwwwGG"),
    ],
)
def test_layer_types_are_spelt_out(window: dict[str, Any] | None, layers: int, expected: str) -> None:
    config = config_from_params(meta_params(n_layers=layers, window_attn=window), "params.json")
    assert config["layer_types"] == [GLOBAL if letter == "G" else WINDOW for letter in expected]
    assert CwmConfig(**config).layer_types == config["layer_types"]


def test_the_configuration_of_cwm_32b() -> None:
    params = {
        "model": {
            "dim": 6144,
            "n_layers": 64,
            "n_heads": 48,
            "n_kv_heads": 8,
            "vocab_size": 128256,
            "max_seq_len": 131072,
            "ffn_dim_multiplier": 1.3,
            "pos_embed_impl": "scaled_rope",
            "rope_theta": 1e6,
            "scaled_rope": {"scale_factor": 16},
            "window_attn": {
                "window_pattern": 4,
                "local_window": 8192,
                "global_window": 131072,
                "global_last_layer": False,
            },
        }
    }
    config = config_from_params(params, "params.json")
    ours, default = CwmConfig(**config).to_dict(), CwmConfig().to_dict()
    assert {key for key in default if ours[key] != default[key]} <= {"architectures", "eos_token_id"}
    assert config["eos_token_id"] == [128001, 128008, 128009]


@given(st.data())
@examples(0.6)
def test_a_configuration_comes_back_from_params(data: st.DataObject) -> None:
    layers, heads = data.draw(st.integers(1, 9)), data.draw(st.sampled_from([1, 2, 6]))
    period, last = data.draw(st.integers(1, 9)), data.draw(st.booleans())
    scaled = data.draw(st.booleans())
    rope = {"rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = {
        "architectures": ["CwmForCausalLM"],
        "model_type": "cwm",
        "bos_token_id": 3,
        "eos_token_id": 4,
        "initializer_range": 0.1,
        "vocab_size": data.draw(st.integers(1, 900)),
        "hidden_size": heads * data.draw(st.integers(1, 40)),
        "intermediate_size": data.draw(st.integers(1, 5000)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": data.draw(st.sampled_from([n for n in (1, 2, 3) if heads % n == 0])),
        "head_dim": 2 * data.draw(st.integers(1, 9)),
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_parameters": (
            {**rope, "original_max_position_embeddings": 8} if scaled else {"rope_type": "default"}
        )
        | {"rope_theta": 1e4},
        "sliding_window": data.draw(st.integers(1, 64)),
        "layer_types": [
            GLOBAL if i % period == 0 or (last and i == layers - 1) else WINDOW for i in range(layers)
        ],
        "tie_word_embeddings": False,
    }
    params = json.loads(json.dumps(params_from_config(config, "config.json")))
    assert config_from_params(params, "params.json") == config
    del params["cwm_trace"]  # what Meta's own side knows of the model
    derived = config_from_params(params, "params.json")
    window = {"sliding_window"} if WINDOW not in derived["layer_types"] else set()
    assert {key for key in derived if derived[key] != config[key]} <= {
        "bos_token_id",
        "eos_token_id",
    } | window

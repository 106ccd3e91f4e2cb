"""`load_weights`: the tensors and numbers that `load_model` gives, without transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding_config import DecodingConfig, read_config
from cwm_trace.model.loading import load_model, load_weights
from cwm_trace.model.modeling import CwmConfig
from cwm_trace.model.weights import Weights, weights_of
from tests.model.pairs import LLAMA3, ROPES, pair, small_config, tokens


def save(folder: Path, dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
    ours, _ = pair(small_config(**changes))
    ours.to(dtype).save_pretrained(folder, max_shard_size="20KB")
    return folder


def assert_same(ours: Weights, theirs: Weights) -> None:
    assert isinstance(ours.config, DecodingConfig)
    for name in DecodingConfig.model_fields:
        if name != "model_type":
            mine, other = getattr(ours.config, name), getattr(theirs.config, name)
            assert (list(mine) if isinstance(mine, tuple) else mine) == other, name
    names = set(theirs.tensors) - ({"lm_head.weight"} if ours.config.tie_word_embeddings else set())
    assert set(ours.tensors) == names
    for name in names:
        assert torch.equal(ours.tensors[name], theirs.tensors[name]), name
        assert ours.tensors[name].dtype == theirs.tensors[name].dtype


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"rope_parameters": ROPES[1]},
        {"layer_types": None, "rms_norm_eps": 1e-3},
        {"dtype": torch.bfloat16},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["auto", "float32", torch.float16])
def test_tensors_and_numbers_are_those_of_the_model(
    tmp_path: Path, changes: dict[str, Any], dtype: torch.dtype | str
) -> None:
    folder = save(tmp_path / "model", **changes)
    assert_same(load_weights(folder, dtype=dtype), weights_of(load_model(folder, dtype=dtype)))


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_scaling": {**LLAMA3, "rope_theta": None}, "rope_theta": 500.0},  # as transformers 4 wrote it
        {"rope_theta": 500.0},
        {},
    ],
    ids=str,
)
def test_configurations_of_older_files(tmp_path: Path, rope: dict[str, Any]) -> None:
    folder = save(tmp_path / "model")
    path = folder / "config.json"
    values = json.loads(path.read_text())
    for name in ("rope_parameters", "eos_token_id", "dtype", "rms_norm_eps"):
        values.pop(name)
    values |= {name: _without_none(value) for name, value in rope.items()}
    path.write_text(json.dumps(values))
    assert_same(load_weights(folder), weights_of(load_model(folder)))


def _without_none(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    "changes", [{}, {"rope_parameters": ROPES[3]}, {"tie_word_embeddings": True}], ids=str
)
def test_a_decoder_computes_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = save(tmp_path / "model", **changes)
    ids = tokens(1, 20)
    logits = []
    for source in (load_weights(folder), load_model(folder)):
        decoder = Decoder(source)
        logits.append(decoder.logits(decoder.states(ids, decoder.cache())))
    assert torch.equal(*logits)


def test_what_only_transformers_knows_is_left_to_it(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", rope_parameters=ROPES[3])  # yarn
    assert isinstance(load_weights(folder).config, CwmConfig)
    assert read_config({"model_type": "cwm", "quantization_config": {}}, "") is not None
    assert read_config({"model_type": "cwm", "quantization_config": {"quant_method": "x"}}, "") is None
    assert read_config({"model_type": "cwm", "rope_parameters": {"rope_type": "llama3"}}, "") is None


@pytest.mark.parametrize("dtype", ["int8", "nothing", "Tensor"])
def test_a_dtype_that_weights_cannot_have(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(CwmTraceError, match=f"there is no dtype '{dtype}' for weights: take one of float64"):
        load_weights(save(tmp_path / "model"), dtype=dtype)


def test_an_epsilon_that_is_no_number() -> None:
    with pytest.raises(CwmTraceError, match="rms_norm_eps should be a number, not 'small'"):
        read_config({"model_type": "cwm", "rms_norm_eps": "small"}, "config.json")

"""One folder of files, loaded by our class, by transformers' own and through its Auto classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast, pipeline
from transformers import CwmForCausalLM as Oracle

from cwm_trace.model.modeling import CwmForCausalLM, CwmModel
from tests.model.pairs import VOCABULARY, distance, pair, small_config, tokens


@pytest.fixture
def ours() -> Any:
    return pair(small_config(), attention="sdpa")[0]


@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_round_trip_single_and_sharded(ours: Any, tmp_path: Path, shard: str) -> None:
    ours.save_pretrained(tmp_path, max_shard_size=shard)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert (len(shards) > 3) if shard == "20KB" else (len(shards) == 1)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard == "20KB")
    ids = tokens(2, 20)
    with torch.no_grad():
        want = ours(ids).logits
        classes: list[Any] = [CwmForCausalLM, Oracle, AutoModelForCausalLM]
        for cls in classes:
            loaded = cls.from_pretrained(tmp_path)
            assert loaded.dtype is torch.float32
            assert distance(loaded(ids).logits, want) <= 1e-6


def test_config_names_the_class_of_transformers(ours: Any, tmp_path: Path) -> None:
    ours.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["architectures"] == ["CwmForCausalLM"]
    assert saved["model_type"] == "cwm"
    assert saved["layer_types"] == ours.config.layer_types
    assert "auto_map" not in saved
    assert type(AutoConfig.from_pretrained(tmp_path)) is type(ours.config)
    assert isinstance(AutoModelForCausalLM.from_pretrained(tmp_path), Oracle)


def test_saved_by_transformers_loads_here(tmp_path: Path) -> None:
    ours, oracle = pair(small_config(tie_word_embeddings=True))
    oracle.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = CwmForCausalLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    ids = tokens(1, 12)
    with torch.no_grad():
        assert distance(loaded(ids).logits, ours(ids).logits) <= 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, "bfloat16", "auto"])
def test_dtype(ours: Any, tmp_path: Path, dtype: Any) -> None:
    ours.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded = CwmForCausalLM.from_pretrained(tmp_path, dtype=dtype)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    assert loaded.model.rotary_emb.inv_freq.dtype is torch.float32
    ids = tokens(1, 12)
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, ours(ids).logits)


def test_device_map(ours: Any, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    ours.save_pretrained(tmp_path)
    loaded = CwmForCausalLM.from_pretrained(tmp_path, device_map="auto")
    ids = tokens(1, 12)
    with torch.no_grad():
        assert distance(loaded(ids).logits, ours(ids).logits) <= 1e-6


def test_layers_left_on_disk(ours: Any, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    ours.save_pretrained(tmp_path)
    where: dict[str, Any] = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
    where |= {f"model.layers.{i}": "cpu" if i < 2 else "disk" for i in range(4)} | {"lm_head": "cpu"}
    folder = tmp_path / "offload"
    loaded = CwmForCausalLM.from_pretrained(tmp_path, device_map=where, offload_folder=folder)
    assert loaded.model.layers[3].mlp.up_proj.weight.device.type == "meta"
    ids = tokens(1, 12)
    with torch.no_grad():
        assert distance(loaded(ids).logits, ours(ids).logits) <= 1e-6


def test_the_body_alone_loads_from_the_same_folder(ours: Any, tmp_path: Path) -> None:
    ours.save_pretrained(tmp_path)
    body = CwmModel.from_pretrained(tmp_path)
    ids = tokens(1, 12)
    with torch.no_grad():
        states = body(ids).last_hidden_state
        assert distance(ours.lm_head(states), ours(ids).logits) <= 1e-6


def test_missing_shard_names_the_file(ours: Any, tmp_path: Path) -> None:
    ours.save_pretrained(tmp_path, max_shard_size="20KB")
    gone = sorted(tmp_path.glob("*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(OSError, match=gone.name):
        CwmForCausalLM.from_pretrained(tmp_path)


def test_pipeline_and_auto_classes_generate_the_same(ours: Any, tmp_path: Path) -> None:
    words = {f"w{i}": i for i in range(VOCABULARY)}
    backend = Tokenizer(models.WordLevel(words, unk_token="w5"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="w0", eos_token="w2")  # type: ignore[no-untyped-call]
    ours.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ask = {"max_new_tokens": 6, "do_sample": False, "return_full_text": False}
    text = "w9 w17 w44"
    theirs = pipeline("text-generation", model=str(tmp_path), dtype="auto")(text, **ask)
    here = pipeline("text-generation", model=ours, tokenizer=tokenizer)(text, **ask)
    assert theirs == here
    ids = torch.tensor([[9, 17, 44]])
    want = ours.generate(ids, max_new_tokens=6, do_sample=False)[0, 3:]
    assert here[0]["generated_text"].split() == tokenizer.decode(want, skip_special_tokens=True).split()

"""`quantization_config` in our class, by whichever of transformers' packages for it are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmForCausalLM
from tests.model.pairs import distance, pair, small_config, tokens


def torchao_int8() -> Any:
    return transformers.TorchAoConfig(
        pytest.importorskip("torchao.quantization").Int8WeightOnlyConfig(), modules_to_not_convert=["lm_head"]
    )


def bitsandbytes_int8() -> Any:
    pytest.importorskip("bitsandbytes")
    return transformers.BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]


def quanto_int8() -> Any:
    pytest.importorskip("optimum.quanto")
    return transformers.QuantoConfig(weights="int8")


KINDS = [torchao_int8, bitsandbytes_int8, quanto_int8]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ours, _ = pair(small_config(hidden_size=64, intermediate_size=96, head_dim=16), attention="sdpa")
    ours.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", KINDS)
def test_eight_bits_stay_close_and_equal_those_of_transformers(folder: Path, kind: Any) -> None:
    config = kind()
    plain: Any = CwmForCausalLM.from_pretrained(folder)
    classes: list[Any] = [CwmForCausalLM, transformers.CwmForCausalLM]
    ours, oracle = (
        cls.from_pretrained(folder, quantization_config=config, device_map="cpu", dtype=torch.float32)
        for cls in classes
    )
    ids = tokens(2, 20)
    with torch.no_grad():
        want, got = plain(ids).logits, ours(ids).logits
        assert 0 < float((got - want).norm() / want.norm()) < 0.05
        assert distance(got, oracle(ids).logits) <= 1e-5
    greedy: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}
    assert torch.equal(ours.generate(ids, **greedy), oracle.generate(ids, **greedy))
    with pytest.raises(CwmTraceError, match="this model is quantised"):
        Decoder(ours)


@pytest.mark.parametrize("kind", [torchao_int8, bitsandbytes_int8])
def test_what_was_quantised_is_saved_and_loaded_again(folder: Path, tmp_path: Path, kind: Any) -> None:
    model: Any = load_model(folder, dtype=torch.float32, quantization_config=kind(), device_map="cpu")
    model.save_pretrained(tmp_path / "int8")
    again: Any = load_model(tmp_path / "int8", device_map="cpu")
    ids = tokens(2, 20)
    with torch.no_grad():
        assert distance(again(ids).logits, model(ids).logits) <= 1e-6
    sizes = [(path / "model.safetensors").stat().st_size for path in (folder, tmp_path / "int8")]
    assert sizes[1] < 0.5 * sizes[0]


def test_a_package_that_is_absent_is_one_sentence(folder: Path) -> None:
    if find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    config = transformers.BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    with pytest.raises(CwmTraceError, match=r"cannot load .*bitsandbytes") as caught:
        load_model(folder, quantization_config=config)
    assert "\n" not in str(caught.value)

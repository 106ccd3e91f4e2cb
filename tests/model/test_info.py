"""What `model info` counts, against transformers and by hand."""

from __future__ import annotations

import doctest
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import CwmConfig, CwmForCausalLM

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.info import (
    CWM_LICENCE,
    count_cache_bytes,
    count_cards,
    count_parameters,
    count_weight_bytes,
    describe_model,
    draw_layers,
    list_numbers,
    render_info,
)
from cwm_trace.model.shape import CwmShape, read_shape
from tests.effort import examples

CWM_32B = read_shape({"model_type": "cwm"}, "CWM-32B")


def small_config(**changes: Any) -> dict[str, Any]:
    return {
        "model_type": "cwm",
        "vocab_size": 300,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 64,
        "sliding_window": 8,
    } | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(small_config()))
    return tmp_path


def save_weights(folder: Path, shape: CwmShape, **changes: tuple[int, ...]) -> None:
    sizes = shape.tensor_shapes() | changes
    save_file(
        {n: torch.zeros(s, dtype=torch.bfloat16) for n, s in sizes.items()}, folder / "model.safetensors"
    )


def test_the_defaults_are_those_of_transformers() -> None:
    theirs = CwmConfig()
    assert {name: getattr(theirs, name) for name in CwmShape.model_fields} == {
        **CWM_32B.model_dump(),
        "layer_types": list(CWM_32B.layer_types),
    }


@given(
    st.integers(1, 6),
    st.sampled_from([(1, 1), (4, 2), (6, 1)]),
    st.integers(1, 4),
    st.integers(1, 50),
    st.booleans(),
)
@examples(0.2)
def test_parameters_are_those_of_the_model(
    layers: int, heads: tuple[int, int], half: int, inner: int, tied: bool
) -> None:
    config = small_config(
        num_hidden_layers=layers,
        num_attention_heads=heads[0],
        num_key_value_heads=heads[1],
        head_dim=2 * half,
        intermediate_size=inner,
        tie_word_embeddings=tied,
    )
    shape = read_shape(config, "drawn")
    with torch.device("meta"):
        model = CwmForCausalLM(CwmConfig(**config, bos_token_id=0, eos_token_id=1))
    counted = count_parameters(shape)
    assert counted["total"] == sum(parameter.numel() for parameter in model.parameters())
    assert counted["per_layer"] == sum(parameter.numel() for parameter in model.model.layers[0].parameters())
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == shape.tensor_shapes()


def test_the_figures_of_cwm_32b() -> None:
    assert count_parameters(CWM_32B) == {
        "total": 32_581_097_472,
        "embedding": 2 * 128_256 * 6_144,
        "per_layer": 484_454_400,
    }
    in_gigabytes = {kind: round(size / 1e9, 1) for kind, size in count_weight_bytes(CWM_32B).items()}
    assert in_gigabytes == {"fp32": 130.3, "bf16": 65.2, "fp8": 34.2, "int4": 19.1}
    full = count_cache_bytes(CWM_32B, 131_072, 1, rings=False)
    rings = count_cache_bytes(CWM_32B, 131_072, 1, rings=True)
    assert full == 64 * 2 * 8 * 128 * 2 * 131_072
    assert rings == (16 * 131_072 + 48 * 8_192) * 2 * 8 * 128 * 2
    assert (round(full / 1e9, 1), round(rings / 1e9, 1)) == (34.4, 10.2)


@pytest.mark.parametrize(
    ("context", "tokens"),
    [(1, 3), (8, 24), (9, 9 + 2 * 8), (64, 64 + 2 * 8)],
)
def test_a_ring_holds_its_window_at_most(context: int, tokens: int) -> None:
    shape = read_shape(small_config(), "small")
    assert count_cache_bytes(shape, context, 5, rings=True) == 5 * tokens * 2 * 2 * 8 * 2
    assert count_cache_bytes(shape, context, 5, rings=False) == 5 * 3 * context * 2 * 2 * 8 * 2


def test_layers_are_drawn() -> None:
    assert draw_layers(CWM_32B) == " ".join(["G···"] * 16)
    types = ["sliding_attention", "full_attention", "full_attention"]
    assert draw_layers(read_shape(small_config(layer_types=types), "small")) == "· G G"


@pytest.mark.parametrize(
    ("total", "memory", "cards"),
    [(1, 24, 1), (int(21.6 * 2**30), 24, 1), (22 * 2**30, 24, 2), (70 * 2**30, 24, 4), (2**40, 24, None)],
)
def test_cards_are_counted_with_a_reserve(total: int, memory: float, cards: int | None) -> None:
    assert count_cards(total, memory) == cards


def test_the_known_id_needs_no_network() -> None:
    info = describe_model("facebook/cwm")
    assert "built in" in info.source
    assert info.licence == CWM_LICENCE
    text = render_info(info)
    assert "34.4 GB full, 10.2 GB with rings" in text
    assert "not for commercial use; the weights are gated" in text
    assert "10.7 GB" in text  # with the last layer global
    assert list_numbers(info)["cards"]["A100, H100 80 GB"] == {"fp32": 2, "bf16": 1, "fp8": 1, "int4": 1}


def test_a_folder_without_weights(folder: Path) -> None:
    info = describe_model(str(folder), context=16, batch=2)
    assert info.stored is None
    assert info.source == "config.json"
    numbers = list_numbers(info)
    assert json.loads(json.dumps(numbers)) == numbers
    assert numbers["cache_bytes"] == {"full": 2 * 3 * 16 * 64, "rings": 2 * (16 + 8 + 8) * 64}
    assert "2 sequences of 16 tokens" in render_info(info)


def test_metas_folder_is_described_too(tmp_path: Path) -> None:
    window = {"window_pattern": 4, "local_window": 16}
    params = {"dim": 64, "n_layers": 6, "n_heads": 4, "vocab_size": 600, "window_attn": window}
    (tmp_path / "params.json").write_text(json.dumps({"model": params}))
    info = describe_model(str(tmp_path))
    assert info.source == "params.json"
    assert draw_layers(info.shape) == "G··· G G"


def test_headers_are_read_and_compared(folder: Path) -> None:
    shape = read_shape(small_config(), "small")
    save_weights(folder, shape)
    info = describe_model(str(folder))
    assert info.stored is not None
    assert info.stored.bytes_by_dtype == {"BF16": count_weight_bytes(shape)["bf16"]}
    assert "BF16 " in render_info(info)
    save_weights(folder, shape, **{"model.norm.weight": (25,)})
    with pytest.raises(
        CwmTraceError, match=r"model\.norm\.weight in \S+ has .* \[25\]; config\.json asks for \[24\]"
    ):
        describe_model(str(folder))
    save_weights(folder, shape.model_copy(update={"num_hidden_layers": 2}))
    with pytest.raises(CwmTraceError, match=r"have no model\.layers\.2\.input_layernorm\.weight"):
        describe_model(str(folder))
    (folder / "config.json").write_text(json.dumps(small_config(quantization_config={"bits": 4})))
    assert describe_model(str(folder)).stored is not None  # other tensors are what a quantiser writes
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(CwmTraceError, match="not a safetensors file"):
        describe_model(str(folder))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (None, "not stated (no model card with a license)"),
        ("# No front matter\nlicense: mit\n", "not stated (no model card with a license)"),
        ("---\nlicense: apache-2.0\ntags:\n- code\n---\n# Model\n", "apache-2.0"),
        ("---\nlicense:\n- mit\n---\n", "mit"),
        (
            "---\nlicense: other\nlicense_name: 'mine'\nlicense_link: FILE\nextra_gated_prompt: ask\n---\n",
            "other, mine, FILE; gated",
        ),
        ("---\nlicense: fair-noncommercial-research-license\n---\n", CWM_LICENCE),
    ],
)
def test_the_licence_is_that_of_the_model_card(folder: Path, card: str | None, licence: str) -> None:
    if card is not None:
        (folder / "README.md").write_text(card)
    assert describe_model(str(folder)).licence == licence


def test_weights_of_cwms_size_are_not_called_free(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "cwm"}')
    assert describe_model(str(folder)).licence.endswith(f"if these are Meta's weights: {CWM_LICENCE}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, r"model_type: .*not 'llama'"),
        ({"layer_types": ["full_attention"]}, "1 layer_types for 3 layers"),
        ({"layer_types": ["full", "full", "full"]}, "not 'full'"),
        ({"layer_types": 3}, "layer_types should be a list"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: .*, not 0"),
        ({"hidden_size": "wide"}, "hidden_size: .*, not 'wide'"),
        ({"num_key_value_heads": 3}, "not a multiple of its 3"),
        ({"head_dim": 7}, "odd head_dim"),
        ({"mlp_bias": True}, "mlp_bias"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_one_sentence(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    (folder / "config.json").write_text(json.dumps(small_config(**changes)))
    with pytest.raises(CwmTraceError, match=message) as caught:
        describe_model(str(folder))
    assert "\n" not in str(caught.value)


def test_a_context_that_is_too_long_is_refused(folder: Path) -> None:
    with pytest.raises(CwmTraceError, match="takes 64 tokens; 65 are too many"):
        describe_model(str(folder), context=65)


def test_what_is_neither_folder_nor_id(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="a hub id has the form OWNER/NAME"):
        describe_model(str(tmp_path / "none"))
    with pytest.raises(CwmTraceError, match=r"there is no config\.json"):
        describe_model(str(tmp_path))


def test_a_hub_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> str:
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(CwmTraceError, match=r"cannot be fetched .*: ConnectionError: no route$"):
        describe_model("somebody/something")


def test_an_id_is_read_through_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, name: str(folder / name))
    info = describe_model("somebody/something")
    assert (info.licence, info.source) == ("mit", "config.json from the Hugging Face hub")


@pytest.mark.parametrize("module", ["convert", "info", "params"])
def test_the_examples_in_docstrings_hold(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"cwm_trace.model.{module}"))
    assert result.attempted > 0
    assert result.failed == 0

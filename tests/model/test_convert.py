"""Conversion: the same weights, the same model."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.distributed.checkpoint.state_dict_saver import save as torch_save_checkpoint
from transformers import CwmForCausalLM

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.convert import convert_checkpoint, halve_rotary, interleave_rotary
from cwm_trace.model.safetensors_files import read_header
from cwm_trace.model.tokenizer import load_tokenizer
from tests.effort import HANGS, examples
from tests.model.checkpoints import (
    Tensors,
    contents,
    load_meta,
    meta_params,
    meta_state,
    same_bits,
    save_meta,
)


def rotate_neighbours(x: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """Turn each complex number (x[2i], x[2i + 1]) by position times frequency, as Meta does: `(T, H, D)`."""
    angles = torch.arange(x.shape[0], dtype=torch.float64)[:, None] * frequencies
    pairs = torch.view_as_complex(x.reshape(*x.shape[:2], -1, 2).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[:, None]).flatten(2)


def rotate_halves(x: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """Turn each (x[i], x[i + D / 2]), as Hugging Face does: `(T, H, D)`."""
    angles = (torch.arange(x.shape[0], dtype=torch.float64)[:, None] * frequencies)[:, None]
    left, right = x.chunk(2, -1)
    return torch.cat(
        (left * angles.cos() - right * angles.sin(), right * angles.cos() + left * angles.sin()), -1
    )


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 7))
@examples(0.25)
def test_moved_rows_give_the_same_attention(keys: int, ratio: int, half: int, time: int) -> None:
    heads, width, depth = keys * ratio, 6, 2 * half
    generator = torch.Generator().manual_seed(keys * 1000 + ratio * 100 + half * 10 + time)
    x = torch.randn(time, width, dtype=torch.float64, generator=generator)
    wq = torch.randn(heads * depth, width, dtype=torch.float64, generator=generator)
    wk = torch.randn(keys * depth, width, dtype=torch.float64, generator=generator)
    frequencies = 100.0 ** -(torch.arange(half, dtype=torch.float64) / half)

    def scores(wq: torch.Tensor, wk: torch.Tensor, rotate: Callable[..., torch.Tensor]) -> torch.Tensor:
        q = rotate((x @ wq.T).view(time, heads, depth), frequencies)
        k = rotate((x @ wk.T).view(time, keys, depth), frequencies).repeat_interleave(ratio, 1)
        return torch.einsum("thd,shd->hts", q, k)

    expected = scores(wq, wk, rotate_neighbours)
    actual = scores(halve_rotary(wq, heads), halve_rotary(wk, keys), rotate_halves)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    assert torch.equal(interleave_rotary(halve_rotary(wq, heads), heads), wq)


def meta_logits(params: dict[str, Any], w: Tensors, tokens: list[int]) -> torch.Tensor:
    """Meta's model, written from its formulas: one sequence, no cache, float64."""
    model = params["model"]
    heads, keys, depth = model["n_heads"], model["n_kv_heads"], model["head_dim"]
    rope, window = model["scaled_rope"], model["window_attn"]
    frequencies = model["rope_theta"] ** -(torch.arange(0, depth, 2, dtype=torch.float64) / depth)
    turns = rope["old_context_len"] * frequencies / (2 * torch.pi)  # over the context of the first training
    smooth = (turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
    frequencies = frequencies * (
        smooth.clamp(0, 1) * (1 - 1 / rope["scale_factor"]) + 1 / rope["scale_factor"]
    )
    positions = torch.arange(len(tokens))
    distance = positions[:, None] - positions

    def norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt() * weight

    h = w["tok_embeddings.weight"][tokens]
    for layer in range(model["n_layers"]):
        at = {
            name.split(".", 2)[2]: tensor for name, tensor in w.items() if name.startswith(f"layers.{layer}.")
        }
        x = norm(h, at["attention_norm.weight"])
        q = rotate_neighbours((x @ at["attention.wq.weight"].T).view(-1, heads, depth), frequencies)
        k = rotate_neighbours((x @ at["attention.wk.weight"].T).view(-1, keys, depth), frequencies)
        v = (x @ at["attention.wv.weight"].T).view(-1, keys, depth)
        k, v = (t.repeat_interleave(heads // keys, 1) for t in (k, v))
        is_global = layer % window["window_pattern"] == 0 or layer == model["n_layers"] - 1
        seen = (distance >= 0) & (is_global | (distance < window["local_window"]))
        scores = torch.einsum("thd,shd->hts", q, k) / depth**0.5
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        h = h + torch.einsum("hts,shd->thd", weights, v).flatten(1) @ at["attention.wo.weight"].T
        x = norm(h, at["ffn_norm.weight"])
        gate, up = x @ at["feed_forward.w1.weight"].T, x @ at["feed_forward.w3.weight"].T
        h = h + (torch.nn.functional.silu(gate) * up) @ at["feed_forward.w2.weight"].T
    return norm(h, w["norm.weight"]) @ w["output.weight"].T


@pytest.mark.parametrize("layers", [3, 4])
def test_transformers_computes_what_metas_formulas_do(tmp_path: Path, layers: int) -> None:
    params = meta_params(n_layers=layers)
    generator = torch.Generator().manual_seed(1)
    tensors = {
        name: torch.randn(tensor.shape, dtype=torch.float64, generator=generator) * 0.3
        for name, tensor in meta_state(params).items()
    }
    save_meta(tmp_path / "meta", params, tensors)
    convert_checkpoint(tmp_path / "meta", tmp_path / "hub")
    model = CwmForCausalLM.from_pretrained(tmp_path / "hub", dtype="auto", attn_implementation="eager")
    assert model.dtype == torch.float64
    tokens = [3, 500, 17, 17, 4, 99, 1, 0, 264, 300, 511, 8, 2, 77, 5, 6, 7, 23, 24, 25]
    with torch.no_grad():
        actual = model(torch.tensor([tokens])).logits[0]
    # Transformers takes sines and cosines in float32.
    torch.testing.assert_close(actual, meta_logits(params, tensors, tokens), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("heads", "keys"), [(4, 4), (4, 2), (4, 1), (8, 2)])
def test_there_and_back_is_bit_equal(tmp_path: Path, heads: int, keys: int, dtype: torch.dtype) -> None:
    params = meta_params(n_heads=heads, n_kv_heads=keys)
    tensors = meta_state(params, dtype)
    save_meta(tmp_path / "meta", params, tensors)
    there = convert_checkpoint(tmp_path / "meta", tmp_path / "hub", shard_bytes=40_000)
    assert len(there.files) > 1
    assert there.bytes == sum(tensor.nbytes for tensor in tensors.values())
    convert_checkpoint(tmp_path / "hub", tmp_path / "back", to_meta=True, shard_bytes=30_000)
    assert same_bits(load_meta(tmp_path / "back", tensors), tensors)
    convert_checkpoint(tmp_path / "back", tmp_path / "again", shard_bytes=40_000)
    assert contents(tmp_path / "again") == contents(tmp_path / "hub")


def test_only_queries_and_keys_move(meta: Path, tmp_path: Path) -> None:
    convert_checkpoint(meta, tmp_path / "hub")
    assert sorted(contents(tmp_path / "hub")) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    before, after = meta_state(meta_params()), load_file(tmp_path / "hub" / "model.safetensors")
    assert len(after) == len(before) == 3 + 3 * 9
    names = {
        "attention.wv": "self_attn.v_proj",
        "attention.wo": "self_attn.o_proj",
        "feed_forward.w1": "mlp.gate_proj",
        "feed_forward.w2": "mlp.down_proj",
        "feed_forward.w3": "mlp.up_proj",
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    }
    pairs = {f"layers.1.{ours}": f"model.layers.1.{theirs}" for ours, theirs in names.items()}
    pairs |= {"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"}
    for ours, theirs in pairs.items():
        assert same_bits({"x": before[f"{ours}.weight"]}, {"x": after[f"{theirs}.weight"]})
    query = after["model.layers.1.self_attn.q_proj.weight"]  # heads of 16 rows: row 1 of a half was row 2
    assert same_bits({"x": query[17]}, {"x": before["layers.1.attention.wq.weight"][18]})
    assert same_bits({"x": query[24]}, {"x": before["layers.1.attention.wq.weight"][17]})


def test_bare_names_are_read_too(tmp_path: Path) -> None:
    tensors = meta_state(meta_params())
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "params.json").write_text(json.dumps(meta_params()["model"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_save_checkpoint(dict(tensors), checkpoint_id=folder, no_dist=True)
    assert convert_checkpoint(folder, tmp_path / "hub").tensors == 30


SHARDED = """
import sys, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.tensor import Shard, Replicate, distribute_tensor
from torch.distributed.device_mesh import init_device_mesh
from tests.model.forked import run_two
folder = sys.argv[1]
def place(name, tensor):
    return Replicate() if tensor.dim() == 1 else Shard(1) if "wo" in name else Shard(0)
def work(rank):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    tensors = torch.load(f"{folder}/tensors.pt")
    state = {"model": {n: distribute_tensor(t, mesh, [place(n, t)]) for n, t in tensors.items()}, "step": 3}
    dcp.save(state, checkpoint_id=f"{folder}/meta")
run_two(work)
"""


def test_a_checkpoint_of_two_ranks(tmp_path: Path) -> None:
    tensors = meta_state(meta_params(), torch.bfloat16)
    torch.save(tensors, tmp_path / "tensors.pt")
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", SHARDED, str(tmp_path)], cwd=root, check=True, timeout=HANGS)
    assert len(list((tmp_path / "meta").glob("*.distcp"))) == 2
    (tmp_path / "meta" / "params.json").write_text(json.dumps(meta_params()))
    convert_checkpoint(tmp_path / "meta", tmp_path / "hub")
    convert_checkpoint(tmp_path / "hub", tmp_path / "back", to_meta=True)
    assert same_bits(load_meta(tmp_path / "back", tensors), tensors)


def test_another_dtype(tmp_path: Path) -> None:
    tensors = {name: torch.full(t.shape, 0.1) for name, t in meta_state(meta_params()).items()}
    save_meta(tmp_path / "meta", meta_params(), tensors)
    convert_checkpoint(tmp_path / "meta", tmp_path / "hub", dtype=torch.bfloat16)
    stored = load_file(tmp_path / "hub" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "hub" / "config.json").read_text())["dtype"] == "bfloat16"
    tensors["norm.weight"][0] = 1e6
    save_meta(tmp_path / "large", meta_params(), tensors)
    with pytest.raises(CwmTraceError, match=r"model\.norm\.weight has numbers too large for torch\.float16"):
        convert_checkpoint(tmp_path / "large", tmp_path / "half", dtype=torch.float16)


def test_the_tokenizer_goes_along(meta: Path, tmp_path: Path) -> None:
    lines = [base64.b64encode(bytes([byte])) + b" %d\n" % byte for byte in range(256)]
    (meta / "tokenizer.model").write_bytes(b"".join(lines) + b"YWI= 256\n")
    convert_checkpoint(meta, tmp_path / "hub")
    tokenizer = load_tokenizer(tmp_path / "hub")
    assert tokenizer.get_vocab()["<|begin_of_text|>"] == 257
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (257, [258, 265, 266])
    generation = json.loads((tmp_path / "hub" / "generation_config.json").read_text())
    assert generation == {"bos_token_id": 257, "eos_token_id": [258, 265, 266], "pad_token_id": 261}
    convert_checkpoint(tmp_path / "hub", tmp_path / "back", to_meta=True)
    assert (tmp_path / "back" / "tokenizer.model").read_bytes() == (meta / "tokenizer.model").read_bytes()
    (meta / "params.json").write_text(json.dumps(meta_params(vocab_size=512)))
    with pytest.raises(CwmTraceError, match="257 tokens and 256 special ones"):
        convert_checkpoint(meta, tmp_path / "small")


def test_headers_agree_with_the_safetensors_library(hub: Path) -> None:
    for path in hub.glob("*.safetensors"):
        stored = load_file(path)
        header = read_header(path)
        assert {name: tensor.shape for name, tensor in header.items()} == {
            n: tuple(t.shape) for n, t in stored.items()
        }
        for name, tensor in header.items():
            assert bytes(tensor.read()) == stored[name].contiguous().view(torch.uint8).numpy().tobytes()

"""Conversion: the same weights, the same model, whatever happens on the way."""

from __future__ import annotations

import base64
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.distributed.checkpoint.metadata import MetadataIndex
from torch.distributed.checkpoint.state_dict_loader import load as torch_load_checkpoint
from torch.distributed.checkpoint.state_dict_saver import save as torch_save_checkpoint
from transformers import CwmConfig, CwmForCausalLM

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.convert import Progress, convert_checkpoint, halve_rotary, interleave_rotary
from cwm_trace.model.params import config_from_params, feed_forward_width, params_from_config
from cwm_trace.model.shards import read_header
from cwm_trace.model.tokenizer import load_tokenizer

Tensors = dict[str, torch.Tensor]
State = dict[str, Tensors]
GLOBAL, WINDOW = "full_attention", "sliding_attention"


def meta_params(**changes: Any) -> dict[str, Any]:
    model: dict[str, Any] = {
        "dim": 32,
        "n_layers": 3,
        "n_heads": 4,
        "n_kv_heads": 2,
        "head_dim": 16,
        "max_seq_len": 64,
        "vocab_size": 520,
        "multiple_of": 8,
        "ffn_dim_multiplier": 0.5,
        "pos_embed_impl": "scaled_rope",
        "rope_theta": 1_000.0,
        "scaled_rope": {
            "scale_factor": 4,
            "old_context_len": 16,
            "low_freq_factor": 1,
            "high_freq_factor": 4,
        },
        "window_attn": {"window_pattern": 2, "local_window": 3},
    }
    return {"model": model | changes}


def meta_state(params: dict[str, Any], dtype: torch.dtype = torch.float32) -> Tensors:
    """Weights of random bits: a conversion may not touch a NaN either."""
    model = params["model"]
    width, depth = model["dim"], model["n_layers"]
    inner = feed_forward_width(width, 4, model["ffn_dim_multiplier"], model["multiple_of"])
    queries, keys = model["n_heads"] * model["head_dim"], model["n_kv_heads"] * model["head_dim"]
    shapes = {
        "tok_embeddings": (model["vocab_size"], width),
        "output": (model["vocab_size"], width),
        "norm": (width,),
    }
    for layer in range(depth):
        parts = {
            "attention.wq": (queries, width),
            "attention.wk": (keys, width),
            "attention.wv": (keys, width),
            "attention.wo": (width, queries),
            "feed_forward.w1": (inner, width),
            "feed_forward.w2": (width, inner),
            "feed_forward.w3": (inner, width),
            "attention_norm": (width,),
            "ffn_norm": (width,),
        }
        shapes |= {f"layers.{layer}.{part}": shape for part, shape in parts.items()}
    generator = torch.Generator().manual_seed(7)
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    low, high = torch.iinfo(bits).min, torch.iinfo(bits).max
    return {
        f"{name}.weight": torch.randint(low, high, shape, dtype=bits, generator=generator).view(dtype)
        for name, shape in shapes.items()
    }


def save_meta(folder: Path, params: dict[str, Any], tensors: Tensors) -> Path:
    folder.mkdir()
    (folder / "params.json").write_text(json.dumps(params))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # saving outside torch.distributed
        torch_save_checkpoint({"model": tensors}, checkpoint_id=folder, no_dist=True)
    return folder


def load_meta(folder: Path, like: Tensors) -> Tensors:
    """Read through torch's own loader."""
    state: State = {"model": {name: torch.zeros_like(tensor) for name, tensor in like.items()}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_load_checkpoint(state, checkpoint_id=folder, no_dist=True)
    return state["model"]


def same_bits(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(
        a.dtype == right[name].dtype and torch.equal(a.view(torch.uint8), right[name].view(torch.uint8))
        for name, a in left.items()
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    params = meta_params()
    return save_meta(tmp_path / "meta", params, meta_state(params))


@pytest.fixture
def hub(meta: Path, tmp_path: Path) -> Path:
    convert_checkpoint(meta, tmp_path / "hub", shard_bytes=40_000)
    return tmp_path / "hub"


# The same model


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
@settings(max_examples=25, deadline=None)
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
@settings(max_examples=60, deadline=None)
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


# There and back


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
import sys, json, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.tensor import Shard, Replicate, distribute_tensor
from torch.distributed.device_mesh import init_device_mesh
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
tensors = torch.load(f"{folder}/tensors.pt")
def place(name, tensor):
    return Replicate() if tensor.dim() == 1 else Shard(1) if "wo" in name else Shard(0)
state = {"model": {n: distribute_tensor(t, mesh, [place(n, t)]) for n, t in tensors.items()}, "step": 3}
dcp.save(state, checkpoint_id=f"{folder}/meta")
dist.destroy_process_group()
"""


def test_a_checkpoint_of_two_ranks(tmp_path: Path) -> None:
    tensors = meta_state(meta_params(), torch.bfloat16)
    torch.save(tensors, tmp_path / "tensors.pt")
    ranks = [subprocess.Popen([sys.executable, "-c", SHARDED, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in ranks] == [0, 0]
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
    convert_checkpoint(tmp_path / "hub", tmp_path / "back", to_meta=True)
    assert (tmp_path / "back" / "tokenizer.model").read_bytes() == (meta / "tokenizer.model").read_bytes()
    (meta / "params.json").write_text(json.dumps(meta_params(vocab_size=512)))
    with pytest.raises(CwmTraceError, match="257 tokens and 256 special ones"):
        convert_checkpoint(meta, tmp_path / "small")


# What can happen on the way

KILLED = """
import sys, time
from pathlib import Path
from cwm_trace.model.convert import convert_checkpoint
def report(progress):
    print(progress.file, flush=True)
    time.sleep(0.02)
source, target, to_meta = sys.argv[1:]
convert_checkpoint(Path(source), Path(target), to_meta=bool(to_meta), shard_bytes=40_000, report=report)
"""


@pytest.mark.parametrize("to_meta", [False, True])
def test_kill_9_leaves_nothing_broken_and_the_next_run_goes_on(
    hub: Path, meta: Path, tmp_path: Path, to_meta: bool
) -> None:
    source = hub if to_meta else meta
    whole = convert_checkpoint(source, tmp_path / "whole", to_meta=to_meta, shard_bytes=40_000)
    target = tmp_path / "target"
    command = [sys.executable, "-c", KILLED, str(source), str(target), "yes" if to_meta else ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == whole.files[2]:  # two files are done and the third is half written
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    expected = contents(tmp_path / "whole")
    left = contents(target)
    finished = {name for name in left if not name.startswith(".")}
    assert set(whole.files[:2]) <= finished
    assert all(left[name] == expected[name] for name in finished)
    assert not {"config.json", "params.json", ".metadata"} & left.keys()
    again = convert_checkpoint(source, target, to_meta=to_meta, shard_bytes=40_000)
    assert 2 <= again.resumed < len(again.files)
    assert contents(target) == expected


@pytest.mark.parametrize("to_meta", [False, True])
def test_stopped_at_any_tensor_it_goes_on(hub: Path, meta: Path, tmp_path: Path, to_meta: bool) -> None:
    source = hub if to_meta else meta
    convert_checkpoint(source, tmp_path / "whole", to_meta=to_meta, shard_bytes=40_000)
    expected = contents(tmp_path / "whole")
    for stop in range(1, 31):
        steps: list[Progress] = []

        def report(progress: Progress, steps: list[Progress] = steps, stop: int = stop) -> None:
            steps.append(progress)
            if len(steps) == stop:
                raise KeyboardInterrupt

        target = tmp_path / f"stopped-at-{stop}"
        with pytest.raises(KeyboardInterrupt):
            convert_checkpoint(source, target, to_meta=to_meta, shard_bytes=40_000, report=report)
        left = contents(target)
        assert left.pop(".conversion.json")
        assert left.items() <= expected.items()
        again = convert_checkpoint(source, target, to_meta=to_meta, shard_bytes=40_000)
        assert again.resumed == len(left)
        assert contents(target) == expected


def test_an_unfinished_conversion_is_only_continued_with_the_same_options(meta: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(meta, tmp_path / "target", report=stop)
    with pytest.raises(CwmTraceError, match="unfinished conversion of another source or with other options"):
        convert_checkpoint(meta, tmp_path / "target", dtype=torch.bfloat16)
    convert_checkpoint(meta, tmp_path / "target")
    with pytest.raises(CwmTraceError, match=r"is not empty \(it holds config\.json\)"):
        convert_checkpoint(meta, tmp_path / "target")


def test_two_conversions_do_not_write_to_one_folder(meta: Path, tmp_path: Path) -> None:
    def start_another(progress: Progress) -> None:
        with pytest.raises(CwmTraceError, match="Another conversion is writing to"):
            convert_checkpoint(meta, tmp_path / "target")

    convert_checkpoint(meta, tmp_path / "target", report=start_another)
    assert (tmp_path / "target" / "config.json").exists()


def test_a_shortened_shard_is_written_again(meta: Path, tmp_path: Path) -> None:
    whole = convert_checkpoint(meta, tmp_path / "whole", shard_bytes=40_000)

    def stop(progress: Progress) -> None:
        if progress.file == whole.files[2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(meta, tmp_path / "target", shard_bytes=40_000, report=stop)
    with (tmp_path / "target" / whole.files[0]).open("r+b") as file:
        file.truncate(1000)
    assert convert_checkpoint(meta, tmp_path / "target", shard_bytes=40_000).resumed == 1
    assert contents(tmp_path / "target") == contents(tmp_path / "whole")


def test_progress_adds_up(meta: Path, tmp_path: Path) -> None:
    steps: list[Progress] = []
    done = convert_checkpoint(meta, tmp_path / "hub", report=steps.append)
    assert len(steps) == done.tensors == 30
    assert steps[-1].done == steps[-1].total == done.bytes
    assert steps == sorted(steps, key=lambda step: step.done)


MEMORY = r"""
import json, re, sys
from pathlib import Path
from cwm_trace.model.convert import convert_checkpoint
source, hub, back = map(Path, sys.argv[1:])
def peak():  # not ru_maxrss, which a child inherits
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
convert_checkpoint(source, hub)
there = peak()
convert_checkpoint(hub, back, to_meta=True)
print(json.dumps([there - before, peak() - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_holds_a_few_tensors_not_the_model(tmp_path: Path) -> None:
    params = meta_params(dim=768, n_layers=12, n_heads=8, n_kv_heads=8, head_dim=128)
    tensors = meta_state(params, torch.bfloat16)
    total = sum(tensor.nbytes for tensor in tensors.values())
    save_meta(tmp_path / "meta", params, tensors)
    largest = max(tensor.nbytes for tensor in tensors.values())
    command = [sys.executable, "-c", MEMORY, *(str(tmp_path / name) for name in ("meta", "hub", "back"))]
    peaks = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(peaks)
    assert largest < 2e6
    assert total > 120e6
    assert max(peaks) < 40e6


# What is wrong with a source


def cut(path: Path, keep: float = 0.5) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def shorten_a_chunk(folder: Path) -> None:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    chunk = metadata.state_dict_metadata["model.output.weight"].chunks[0]
    chunk.sizes = torch.Size([chunk.sizes[0] - 1, chunk.sizes[1]])
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def move_a_chunk(folder: Path) -> None:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    chunk = metadata.state_dict_metadata["model.output.weight"].chunks[0]
    place = next(
        place for index, place in metadata.storage_data.items() if index.fqn == "model.output.weight"
    )
    chunk.offsets = torch.Size([1, 0])
    metadata.storage_data[MetadataIndex("model.output.weight", chunk.offsets)] = place
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def model(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "params.json", lambda params: params["model"].update(changes))


META_FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("no params", lambda f: (f / "params.json").unlink(), r"no params\.json"),
    ("no metadata", lambda f: (f / ".metadata").unlink(), r"no \.metadata"),
    ("no shard", lambda f: (f / "__0_0.distcp").unlink(), r"__0_0\.distcp is missing"),
    ("short shard", lambda f: cut(f / "__0_0.distcp"), "was cut short"),
    ("short metadata", lambda f: cut(f / ".metadata"), "not the metadata"),
    ("text for metadata", lambda f: (f / ".metadata").write_text("hello"), "not the metadata"),
    ("damaged shard", lambda f: overwrite(f / "__0_0.distcp", 0, b"\xff" * 70_000), "is damaged"),
    ("a gap between chunks", shorten_a_chunk, "do not make up its shape"),
    ("a chunk that sticks out", move_a_chunk, "do not make up its shape"),
    ("params no JSON", lambda f: (f / "params.json").write_text("{"), "is not JSON"),
    ("params no object", lambda f: (f / "params.json").write_text("[]"), "holds a list"),
    ("unknown key", model(qk_scale=2), r"model\.qk_scale: extra inputs are not permitted"),
    ("unknown window key", model(window_attn={"windows": 2}), r"window_attn\.windows"),
    (
        "no vocabulary",
        lambda f: edit(f / "params.json", lambda p: p["model"].pop("vocab_size")),
        "vocab_size",
    ),
    ("a word for a number", model(dim="wide"), r"model\.dim.*'wide'"),
    ("biases", model(qkv_biases=True), "qkv_biases"),
    ("tied", model(weight_tying=True), "weight_tying"),
    ("latent attention", model(kv_lora_rank=8), "kv_lora_rank"),
    (
        "short global window",
        model(window_attn={"local_window": 2, "global_window": 9}),
        "window of 9, shorter",
    ),
    ("no local window", model(window_attn={"window_pattern": 4}), "no local_window"),
    ("heads", model(n_kv_heads=3), "4 heads, not a multiple of its 3"),
    ("another width", model(dim=64), r"has the shape \[.*\]; the configuration asks for"),
    ("more layers", model(n_layers=4), r"has no layers\.3\.attention_norm\.weight"),
    ("fewer layers", model(n_layers=2), r"layers\.2\.\S+, for which a CWM model has no place"),
]

HUB_FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("no config", lambda f: (f / "config.json").unlink(), r"no config\.json"),
    ("no weights", lambda f: (f / "model.safetensors.index.json").unlink(), "neither model.safetensors nor"),
    ("no shard", lambda f: next(f.glob("model-00002*")).unlink(), r"model-00002\S+ is missing"),
    ("short shard", lambda f: cut(next(f.glob("model-00002*"))), "header promises"),
    ("very short shard", lambda f: cut(next(f.glob("model-00002*")), 0.0), "not a safetensors file"),
    ("long shard", lambda f: next(f.glob("model-00002*")).open("ab").write(b"x"), "header promises"),
    ("damaged header", lambda f: overwrite(next(f.glob("model-00002*")), 9, b"??"), "not a safetensors file"),
    (
        "huge header",
        lambda f: overwrite(next(f.glob("model-00002*")), 0, b"\xff" * 8),
        "not a safetensors file",
    ),
    (
        "another model",
        lambda f: edit(f / "config.json", lambda c: c.update(model_type="llama")),
        "model_type.*'llama'",
    ),
    (
        "a wrong layer type",
        lambda f: edit(f / "config.json", lambda c: c.update(layer_types=["global"] * 3)),
        r"layer_types\.0.*'global'",
    ),
    (
        "too few layer types",
        lambda f: edit(f / "config.json", lambda c: c.update(layer_types=[GLOBAL])),
        "1 layer_types for 3 layers",
    ),
    (
        "no period",
        lambda f: edit(f / "config.json", lambda c: c.update(layer_types=[WINDOW, GLOBAL, GLOBAL])),
        "layer_types without a period",
    ),
    (
        "tied",
        lambda f: edit(f / "config.json", lambda c: c.update(tie_word_embeddings=True)),
        "ties the head",
    ),
    (
        "another scaling",
        lambda f: edit(f / "config.json", lambda c: c.update(rope_parameters={"rope_type": "yarn"})),
        "by 'yarn'",
    ),
    (
        "quantised",
        lambda f: edit(f / "config.json", lambda c: c.update(quantization_config={"bits": 4})),
        "quantised",
    ),
    (
        "an index that lies",
        lambda f: edit(
            f / "model.safetensors.index.json", lambda i: i["weight_map"].update(x="model-00001-of-00003")
        ),
        "is missing from",
    ),
    (
        "a tensor the index misplaces",
        lambda f: edit(
            f / "model.safetensors.index.json",
            lambda i: i["weight_map"].update(
                {"lm_head.weight": i["weight_map"]["model.embed_tokens.weight"]}
            ),
        ),
        r"says that lm_head\.weight is in",
    ),
    (
        "another width",
        lambda f: edit(f / "config.json", lambda c: c.update(hidden_size=64)),
        r"has the shape .*; the configuration asks for",
    ),
]


def assert_refused(source: Path, target: Path, message: str, *, to_meta: bool) -> None:
    with pytest.raises(CwmTraceError, match=message) as caught:
        convert_checkpoint(source, target, to_meta=to_meta)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert not (target / "config.json").exists()
    assert not (target / "params.json").exists()


@pytest.mark.parametrize(
    ("fault", "message"), [fault[1:] for fault in META_FAULTS], ids=[f[0] for f in META_FAULTS]
)
def test_a_faulty_meta_checkpoint_is_one_sentence(
    meta: Path, tmp_path: Path, fault: Callable[[Path], object], message: str
) -> None:
    fault(meta)
    assert_refused(meta, tmp_path / "target", message, to_meta=False)


@pytest.mark.parametrize(
    ("fault", "message"), [fault[1:] for fault in HUB_FAULTS], ids=[f[0] for f in HUB_FAULTS]
)
def test_a_faulty_hugging_face_checkpoint_is_one_sentence(
    hub: Path, tmp_path: Path, fault: Callable[[Path], object], message: str
) -> None:
    fault(hub)
    assert_refused(hub, tmp_path / "target", message, to_meta=True)


def test_a_missing_source_is_one_sentence(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none", tmp_path / "target", "is not a folder", to_meta=False)


def test_metadata_runs_no_code(meta: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'sprung'}",)

    (meta / ".metadata").write_bytes(pickle.dumps(Trap()))
    assert_refused(meta, tmp_path / "target", "not the metadata", to_meta=False)
    assert not (tmp_path / "sprung").exists()


def test_metadata_does_not_lead_out_of_the_folder(meta: Path, tmp_path: Path) -> None:
    shutil.copy(meta / "__0_0.distcp", tmp_path / "outside")
    data = (meta / ".metadata").read_bytes()
    assert len("__0_0.distcp") == len("../outside.p")
    (tmp_path / "outside").rename(tmp_path / "outside.p")
    (meta / ".metadata").write_bytes(data.replace(b"__0_0.distcp", b"../outside.p"))
    assert_refused(meta, tmp_path / "target", "outside the folder", to_meta=False)


def test_a_target_that_cannot_be_made_is_one_sentence(meta: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(meta, tmp_path / "file" / "target", "Cannot write to", to_meta=False)


def test_headers_agree_with_the_safetensors_library(hub: Path) -> None:
    for path in hub.glob("*.safetensors"):
        stored = load_file(path)
        header = read_header(path)
        assert {name: tensor.shape for name, tensor in header.items()} == {
            n: tuple(t.shape) for n, t in stored.items()
        }
        for name, tensor in header.items():
            assert bytes(tensor.read()) == stored[name].contiguous().view(torch.uint8).numpy().tobytes()

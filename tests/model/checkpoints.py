"""Small checkpoints as Meta saves them, and how to look into them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict_loader import load as torch_load_checkpoint
from torch.distributed.checkpoint.state_dict_saver import save as torch_save_checkpoint

from cwm_trace.model.convert import convert_checkpoint
from cwm_trace.model.params import feed_forward_width

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


def make_meta(folder: Path) -> Path:
    """A small checkpoint as Meta saves it, in `folder / "meta"`."""
    params = meta_params()
    return save_meta(folder / "meta", params, meta_state(params))


def make_hub(folder: Path) -> Path:
    """The same one in Hugging Face's form, in several shards, in `folder / "hub"`."""
    source = folder / "meta" if (folder / "meta").exists() else make_meta(folder)
    convert_checkpoint(source, folder / "hub", shard_bytes=40_000)
    return folder / "hub"

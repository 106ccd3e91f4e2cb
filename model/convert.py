"""Meta's checkpoints to Hugging Face's and back: the same weights under other names.

Rotary pairs are the one thing that moves. Meta rotates neighbours, rows (0, 1), (2, 3), … of a head; Hugging
Face rotates row i with row i + head_dim / 2. So the rows of `wq` and `wk` are put in another order, and every
product of a query with a key stays what it was.

One tensor is in memory at a time. A file gets its name when all of it is on the disk, and `config.json`
(`params.json` on Meta's side) comes last; a journal lets an interrupted conversion go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import open_whole, temporary_folder, write_whole
from cwm_trace.model import dcp
from cwm_trace.model.journal import Journal, Places, fingerprint
from cwm_trace.model.json_files import read_json, write_json
from cwm_trace.model.params import CARRIED, SPECIALS, carried_file, config_from_params, params_from_config
from cwm_trace.model.safetensors_files import INDEX, SINGLE, StoredTensor, read_headers, write_shard
from cwm_trace.model.shape import read_shape
from cwm_trace.model.tokenizer import META_OFFSETS, PAD, convert_ranks, ranks_of, read_ranks, save_tokenizer
from cwm_trace.progress import OnProgress, Progress, say_nothing

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_LAYER_NAMES = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
_OTHER_NAMES = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "output.weight",
}

Found = tuple[tuple[int, ...], torch.dtype, Callable[[], torch.Tensor]]
"""Shape, dtype and reader of a tensor in the source."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight on its way: both its names, what it is, and how to get it out of the source."""

    hub: str
    meta: str
    shape: tuple[int, ...]
    dtype: torch.dtype  # in the target
    heads: int | None  # rotary heads whose rows move
    load: Callable[[], torch.Tensor]

    @property
    def bytes(self) -> int:
        """Bytes in the target."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written: files of weights (`resumed` of them by an earlier run), tensors and their bytes."""

    files: tuple[str, ...]
    resumed: int
    tensors: int
    bytes: int


def convert_checkpoint(
    source: Path,
    target: Path,
    *,
    to_meta: bool = False,
    dtype: torch.dtype | None = None,
    shard_bytes: int = 5_000_000_000,
    report: OnProgress = say_nothing,
) -> Conversion:
    """Convert a folder; run again after an interruption, it goes on where it stopped.

    Args:
        source: Meta's folder (`.metadata`, `params.json`), or Hugging Face's with `to_meta`.
        target: A new or empty folder, or that of the interrupted conversion.
        to_meta: From Hugging Face's form to Meta's.
        dtype: What to store weights in; what they are stored in by default.
        shard_bytes: Bytes of tensors in one file, at most (a single tensor may be more).
        report: Called after each tensor.

    Raises:
        CwmTraceError: The source is incomplete, damaged or not a CWM model, or the target cannot be written.
    """
    if not source.is_dir():
        raise CwmTraceError(f"{source} is not a folder")
    settings, weights = _open_hub(source) if to_meta else _open_meta(source)
    if dtype is not None:
        weights = [replace(weight, dtype=dtype) for weight in weights]
    strange = [weight for weight in weights if weight.dtype not in _CODES]
    if strange:
        raise CwmTraceError(f"{strange[0].hub} is stored as {strange[0].dtype}, which cannot be converted")
    files = _plan_files(weights, shard_bytes, to_meta=to_meta)
    total = sum(weight.bytes for weight in weights)
    done = resumed = 0
    places: dict[str, tuple[str, int, int]] = {}
    with Journal(target, fingerprint(source, (to_meta, str(dtype), shard_bytes))) as journal:
        for name, group in files.items():
            found = journal.places(name)
            if found is None:

                def advance(weight: Weight, file: str = name) -> None:
                    nonlocal done
                    done += weight.bytes
                    report(Progress(file, done, total))

                write = _write_items if to_meta else _write_safetensors
                found = write(target / name, group, advance)
                journal.add(name, found)
            else:
                resumed += 1
                done += sum(weight.bytes for weight in group)
            places |= {tensor: (name, *span) for tensor, span in found.items()}
        if to_meta:
            _finish_meta(source, target, settings, weights, places)
        else:
            _finish_hub(source, target, settings, weights, files)
        journal.close()
    return Conversion(tuple(files), resumed, len(weights), total)


def halve_rotary(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Put the rows of each head from neighbouring pairs (Meta) into two halves (Hugging Face).

    Args:
        weight: `(heads * head_dim, width)`.
        heads: Query heads for `wq`, key and value heads for `wk`.
    """
    rows, width = weight.shape
    pairs = weight.view(heads, rows // heads // 2, 2, width)  # (heads, head_dim / 2, 2, width)
    return pairs.transpose(1, 2).reshape(rows, width)


def interleave_rotary(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Undo `halve_rotary`."""
    rows, width = weight.shape
    halves = weight.view(heads, 2, rows // heads // 2, width)  # (heads, 2, head_dim / 2, width)
    return halves.transpose(1, 2).reshape(rows, width)


def _meta_name(hub: str) -> str:
    """Name a weight as Meta does.

    >>> _meta_name("model.layers.3.self_attn.q_proj.weight")
    'layers.3.attention.wq.weight'
    """
    if hub in _OTHER_NAMES:
        return _OTHER_NAMES[hub]
    _, layers, number, part = hub.removesuffix(".weight").split(".", 3)
    return f"{layers}.{number}.{_LAYER_NAMES[part]}.weight"


def _open_meta(source: Path) -> tuple[dict[str, Any], list[Weight]]:
    """Read Meta's side: the contents of `config.json` and `generation_config.json` to be, and the weights."""
    params = read_json(source / "params.json")
    ranks = source / "tokenizer.model"
    specials = len(read_ranks(ranks)) if ranks.exists() else None
    config = config_from_params(params, str(source / "params.json"), specials=specials)
    if specials is not None and specials + SPECIALS > config["vocab_size"]:
        raise CwmTraceError(
            f"{ranks} has {specials} tokens and {SPECIALS} special ones; params.json has room for "
            f"{config['vocab_size']} in all"
        )
    tensors = dcp.read_metadata(source)
    weights = _match(
        config, {name: (tensor.shape, tensor.dtype, tensor.read) for name, tensor in tensors.items()}, source
    )
    generation = carried_file(params, "generation_config") or {
        key: config[key] for key in ("bos_token_id", "eos_token_id") if key in config
    }
    if CARRIED not in params and "bos_token_id" in generation:
        generation["pad_token_id"] = generation["bos_token_id"] + META_OFFSETS[PAD]
    return {"config": config, "generation_config": generation}, weights


def _open_hub(source: Path) -> tuple[dict[str, Any], list[Weight]]:
    """Read Hugging Face's side: the contents of `params.json` to be, and the weights."""
    config = read_json(source / "config.json")
    if config.get("quantization_config"):
        raise CwmTraceError(f"{source} is quantised: convert the checkpoint that it was made from")
    params = params_from_config(config, str(source / "config.json"))
    if (source / "generation_config.json").exists():
        params[CARRIED]["generation_config"] = read_json(source / "generation_config.json")
    found: dict[str, Found] = {}
    for name, tensor in read_headers(source).items():
        if tensor.dtype not in DTYPES:
            raise CwmTraceError(
                f"{name} in {tensor.path} is stored as {tensor.dtype}, which cannot be converted"
            )
        found[name] = (tensor.shape, DTYPES[tensor.dtype], partial(_read_stored, tensor))
    return params, _match(config, found, source, by_hub=True)


def _match(
    config: Mapping[str, Any], found: Mapping[str, Found], source: Path, *, by_hub: bool = False
) -> list[Weight]:
    """Pair what the configuration asks for with what the source holds, in the model's order.

    Raises:
        CwmTraceError: A tensor is missing, left over, or of another shape.
    """
    shape = read_shape(config, str(source))
    heads = {"q_proj": shape.num_attention_heads, "k_proj": shape.num_key_value_heads}
    weights = []
    for hub, size in shape.tensor_shapes().items():
        meta = _meta_name(hub)
        name = hub if by_hub else meta
        if name not in found:
            raise CwmTraceError(
                f"{source} has no {name}, which a model of {shape.num_hidden_layers} layers needs"
            )
        held, dtype, load = found[name]
        if held != size:
            raise CwmTraceError(
                f"{name} in {source} has the shape {list(held)}; the configuration asks for {list(size)}"
            )
        weights.append(Weight(hub, meta, size, dtype, heads.get(hub.split(".")[-2]), load))
    known = {weight.hub if by_hub else weight.meta for weight in weights}
    left = [name for name in found if name not in known]
    if left:
        raise CwmTraceError(f"{source} holds {left[0]}, for which a CWM model has no place")
    return weights


def _plan_files(weights: list[Weight], shard_bytes: int, *, to_meta: bool) -> dict[str, list[Weight]]:
    groups: list[list[Weight]] = [[]]
    size = 0
    for weight in weights:
        if groups[-1] and size + weight.bytes > shard_bytes:
            groups.append([])
            size = 0
        groups[-1].append(weight)
        size += weight.bytes
    count = len(groups)
    if to_meta:
        return {f"__0_{number}.distcp": group for number, group in enumerate(groups)}
    if count == 1:
        return {SINGLE: groups[0]}
    return {f"model-{number:05d}-of-{count:05d}.safetensors": group for number, group in enumerate(groups, 1)}


def _write_safetensors(path: Path, weights: list[Weight], advance: Callable[[Weight], None]) -> Places:
    by_name = {weight.hub: weight for weight in weights}

    def produce(name: str) -> memoryview:
        weight = by_name[name]
        tensor = _load(weight, halve_rotary)
        advance(weight)
        return tensor.view(torch.uint8).numpy().data

    write_shard(path, [(weight.hub, _CODES[weight.dtype], weight.shape) for weight in weights], produce)
    return {}  # the files say themselves where their tensors lie


def _write_items(path: Path, weights: list[Weight], advance: Callable[[Weight], None]) -> Places:
    places: Places = {}
    with open_whole(path) as file:
        for weight in weights:
            places[weight.meta] = dcp.write_tensor(file, _load(weight, interleave_rotary))
            advance(weight)
    return places


def _load(weight: Weight, move: Callable[[torch.Tensor, int], torch.Tensor]) -> torch.Tensor:
    tensor = weight.load()
    if weight.heads is not None:
        tensor = move(tensor, weight.heads)
    if tensor.dtype != weight.dtype:
        converted = tensor.to(weight.dtype)
        if not converted.isfinite().all() and tensor.isfinite().all():
            raise CwmTraceError(
                f"{weight.hub} has numbers too large for {weight.dtype}: choose another dtype"
            )
        tensor = converted
    return tensor.contiguous()


def _read_stored(tensor: StoredTensor) -> torch.Tensor:
    return torch.frombuffer(tensor.read(), dtype=DTYPES[tensor.dtype]).view(tensor.shape)


def _finish_hub(
    source: Path,
    target: Path,
    settings: dict[str, Any],
    weights: list[Weight],
    files: dict[str, list[Weight]],
) -> None:
    if list(files) != [SINGLE]:
        weight_map = {weight.hub: name for name, group in files.items() for weight in group}
        size = sum(weight.bytes for weight in weights)
        write_json(target / INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map})
    if settings["generation_config"]:
        write_json(target / "generation_config.json", settings["generation_config"])
    config = settings["config"]
    if (source / "tokenizer.model").exists():
        tokenizer = convert_ranks(source / "tokenizer.model", max_length=config["max_position_embeddings"])
        with temporary_folder() as folder:
            save_tokenizer(tokenizer, Path(folder))
            for path in sorted(Path(folder).iterdir()):
                write_whole(target / path.name, path.read_bytes())
    config.pop("torch_dtype", None)
    config["dtype"] = str(_main_dtype(weights)).removeprefix("torch.")
    write_json(target / "config.json", config)


def _finish_meta(
    source: Path,
    target: Path,
    params: dict[str, Any],
    weights: list[Weight],
    places: Mapping[str, tuple[str, int, int]],
) -> None:
    dcp.write_metadata(target, {weight.meta: (weight.dtype, weight.shape) for weight in weights}, places)
    ranks = ranks_of(source / "tokenizer.json")
    if ranks is not None:
        write_whole(target / "tokenizer.model", ranks)
        params["tokenizer"] = {"name": "cwm_instruct"}  # the class of Meta's that reads the file
    write_json(target / "params.json", params)


def _main_dtype(weights: list[Weight]) -> torch.dtype:
    """The dtype that most bytes are in."""
    count: Counter[torch.dtype] = Counter()
    for weight in weights:
        count[weight.dtype] += weight.bytes
    return count.most_common(1)[0][0]

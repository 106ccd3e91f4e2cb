"""What a model takes: parameters, layers, bytes of weights and caches, and the cards that hold them.

Nothing here loads a weight or imports torch: the numbers follow from `config.json`, and the headers of the
safetensors files, where there are any, must agree with it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.json_files import read_json
from cwm_trace.model.params import config_from_params
from cwm_trace.model.safetensors_files import INDEX, SINGLE, check_shapes, read_headers
from cwm_trace.model.shape import FULL, CwmShape, read_shape

_CWM_ID = "facebook/cwm"
CWM_LICENCE = (
    "FAIR Non-Commercial Research License: for research, not for commercial use; the weights are gated, "
    f"ask for access at https://huggingface.co/{_CWM_ID}"
)
"""MODEL_CARD.md of facebookresearch/cwm; the id on the hub is fair-noncommercial-research-license."""

_CACHE_ITEM = 2  # bytes of a bf16 number
INT4_GROUP = 128  # weights that share a bf16 scale
USABLE = 0.9  # of a card's memory; the rest goes to activations, the CUDA context and fragments
_COUNTS = (1, 2, 4, 8)  # cards in one machine
CARDS = {  # GiB
    "RTX 3090, 4090": 24,
    "RTX 5090": 32,
    "L40S, RTX A6000": 48,
    "A100 40 GB": 40,
    "A100, H100 80 GB": 80,
    "RTX PRO 6000": 96,
    "H200": 140,
    "B200": 179,
    "MI300X": 192,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What the safetensors files hold."""

    files: int
    bytes_by_dtype: dict[str, int]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model and the conditions to count for.

    Args:
        name: Path or id, as it was asked for.
        source: Where the measures come from.
        shape: The measures.
        licence: What may be done with the weights.
        context: Tokens in the cache.
        batch: Sequences side by side.
        stored: Contents of the safetensors files; None where there are none.
        notes: What a reader should know about these numbers.
    """

    name: str
    source: str
    shape: CwmShape
    licence: str
    context: int
    batch: int
    stored: Stored | None = None
    notes: tuple[str, ...] = ()


def describe_model(
    name: str, *, context: int | None = None, batch: int = 1, as_type: str | None = None
) -> ModelInfo:
    """Look at a folder or a hub id.

    Args:
        name: A folder with `config.json` (or Meta's `params.json`), `facebook/cwm` (known without the
            hub), or another id.
        context: Tokens in the cache; the longest the model takes by default.
        batch: Sequences side by side.
        as_type: "cwm" for a `config.json` that says something else.

    Raises:
        CwmTraceError: There is no such model, it is no CWM, its files disagree, or the context is too long.
    """
    folder = Path(name)
    stored = None
    notes: tuple[str, ...] = ()
    if folder.is_dir():
        shape, stored = _read_folder(folder, as_type)
        file = "config.json" if (folder / "config.json").exists() else "params.json"
        source = file if stored is None else f"{file} and the headers of the safetensors files"
        licence = _find_licence(folder / "README.md", shape)
    elif name == _CWM_ID:
        shape = read_shape({"model_type": "cwm"}, name)
        source = "built in, since the checkpoint is gated; give its folder to read the real one"
        licence = CWM_LICENCE
        notes = (_last_layer_note(shape, context or shape.max_position_embeddings, batch),)
    else:
        config, card = _download(name)
        shape = read_shape(read_json(config), name, as_type)
        source = "config.json from the Hugging Face hub"
        licence = _find_licence(card, shape)
    if context is not None and context > shape.max_position_embeddings:
        raise CwmTraceError(f"{name} takes {shape.max_position_embeddings} tokens; {context} are too many")
    return ModelInfo(
        name,
        source,
        shape,
        licence,
        context or shape.max_position_embeddings,
        batch,
        stored=stored,
        notes=notes,
    )


def count_parameters(shape: CwmShape) -> dict[str, int]:
    """Count numbers: in all, in embedding and head, in one layer.

    >>> count_parameters(read_shape({"model_type": "cwm"}, "CWM-32B"))["total"]
    32581097472
    """
    sizes = {name: math.prod(size) for name, size in shape.tensor_shapes().items()}
    layer = sum(size for name, size in sizes.items() if name.startswith("model.layers.0."))
    embedding = sizes["model.embed_tokens.weight"] + sizes.get("lm_head.weight", 0)
    return {"total": sum(sizes.values()), "embedding": embedding, "per_layer": layer}


def count_weight_bytes(shape: CwmShape) -> dict[str, int]:
    """Bytes of all weights, by how the linear layers are stored.

    With fp8 and int4 the embedding, the head and the norms stay bf16, as quantisers leave them; int4 has a
    bf16 scale per 128 weights.
    """
    total = count_parameters(shape)["total"]
    linear = sum(math.prod(size) for name, size in shape.tensor_shapes().items() if "_proj." in name)
    rest = 2 * (total - linear)
    return {
        "fp32": 4 * total,
        "bf16": 2 * total,
        "fp8": linear + rest,
        "int4": linear // 2 + 2 * (linear // INT4_GROUP) + rest,
    }


def count_cache_bytes(shape: CwmShape, context: int, batch: int, *, rings: bool) -> int:
    """Bytes of keys and values in bf16.

    Args:
        shape: The model's measures.
        context: Tokens of each sequence.
        batch: Sequences.
        rings: Window layers keep their window only.

    >>> shape = read_shape({"model_type": "cwm"}, "CWM-32B")
    >>> [round(count_cache_bytes(shape, 131072, 1, rings=rings) / 1e9, 1) for rings in (False, True)]
    [34.4, 10.2]
    """
    per_token = 2 * shape.num_key_value_heads * shape.head_dim * _CACHE_ITEM  # keys and values of one layer
    window = min(context, shape.sliding_window) if rings else context
    tokens = sum(context if kind == FULL else window for kind in shape.layer_types)
    return batch * tokens * per_token


def count_cards(total: int, gibibytes: float) -> int | None:
    """How many cards of this size hold so many bytes; None when eight do not."""
    return next((count for count in _COUNTS if total <= count * gibibytes * 2**30 * USABLE), None)


def draw_layers(shape: CwmShape) -> str:
    """Draw the layers in order, global ones as `G` and window ones as `·`, a gap before each global one.

    >>> draw_layers(read_shape({"model_type": "cwm", "num_hidden_layers": 6}, "six layers"))
    'G··· G·'
    """
    letters = "".join(" G" if kind == FULL else "·" for kind in shape.layer_types)
    return letters.strip()


def list_numbers(info: ModelInfo) -> dict[str, Any]:
    """Everything that `model info` shows, for JSON; sizes in bytes."""
    shape = info.shape
    weights = count_weight_bytes(shape)
    caches = {
        "full": count_cache_bytes(shape, info.context, info.batch, rings=False),
        "rings": count_cache_bytes(shape, info.context, info.batch, rings=True),
    }
    cards = {
        card: {kind: count_cards(size + caches["rings"], memory) for kind, size in weights.items()}
        for card, memory in CARDS.items()
    }
    return {
        "name": info.name,
        "source": info.source,
        "licence": info.licence,
        "shape": shape.model_dump(mode="json"),
        "layers": draw_layers(shape),
        "parameters": count_parameters(shape),
        "stored": None
        if info.stored is None
        else {"files": info.stored.files, "bytes": info.stored.bytes_by_dtype},
        "weight_bytes": weights,
        "context": info.context,
        "batch": info.batch,
        "cache_bytes": caches,
        "cards": cards,
        "notes": list(info.notes),
    }


def render_info(info: ModelInfo) -> str:
    """Write what `model info` prints."""
    shape, numbers = info.shape, list_numbers(info)
    parameters, caches = numbers["parameters"], numbers["cache_bytes"]
    globals_ = shape.layer_types.count(FULL)
    sequences = "1 sequence" if info.batch == 1 else f"{info.batch} sequences"
    rows = [
        ("model", info.name),
        ("read from", info.source),
        ("licence", info.licence),
        (
            "parameters",
            f"{parameters['total']:,}: {parameters['embedding']:,} in embedding and head, "
            f"{parameters['per_layer']:,} in each layer",
        ),
        (
            "layers",
            f"{shape.num_hidden_layers}: {globals_} global (G), {shape.num_hidden_layers - globals_} "
            f"with a window of {shape.sliding_window:,} (·)",
        ),
        ("", numbers["layers"]),
        (
            "heads",
            f"{shape.num_attention_heads} of {shape.head_dim}, {shape.num_key_value_heads} for keys and "
            f"values; width {shape.hidden_size:,}, MLP {shape.intermediate_size:,}, "
            f"vocabulary {shape.vocab_size:,}",
        ),
        ("weights", ", ".join(f"{kind} {_size(size)}" for kind, size in numbers["weight_bytes"].items())),
    ]
    if info.stored is not None:
        held = ", ".join(
            f"{dtype} {_size(size)}" for dtype, size in sorted(info.stored.bytes_by_dtype.items())
        )
        rows.append(("on disk", f"{held} in {info.stored.files} file{'s' * (info.stored.files != 1)}"))
    rows.append(
        (
            "KV cache",
            f"{_size(caches['full'])} full, {_size(caches['rings'])} with rings for the window layers "
            f"({sequences} of {info.context:,} tokens, bf16)",
        )
    )
    rows += [("note", note) for note in info.notes]
    lines = [f"{label:<11}{text}" for label, text in rows]
    kinds = list(numbers["weight_bytes"])
    lines += [
        "",
        f"cards for weights and ring caches, {USABLE:.0%} of their memory used (- : more than {_COUNTS[-1]})",
    ]
    counts = {card: [numbers["cards"][card][kind] for kind in kinds] for card in CARDS}
    return "\n".join([*lines, *list_cards(kinds, counts, 6)])


def list_cards(heads: Sequence[str], counts: Mapping[str, Sequence[int | None]], width: int) -> list[str]:
    """Lines of a table with a row for each of `CARDS`; a dash where there is no number."""
    lines = [f"{'':<26}" + "".join(f"{head:>{width}}" for head in heads)]
    for card, memory in CARDS.items():
        cells = "".join(f"{'-' if count is None else count:>{width}}" for count in counts[card])
        lines.append(f"{card:<17}{memory:>5} GiB{cells}")
    return lines


def _read_folder(folder: Path, as_type: str | None) -> tuple[CwmShape, Stored | None]:
    if not (folder / "config.json").exists() and (folder / "params.json").exists():
        config = config_from_params(read_json(folder / "params.json"), str(folder / "params.json"))
        return read_shape(config, str(folder / "params.json")), None
    config = read_json(folder / "config.json")
    shape = read_shape(config, str(folder / "config.json"), as_type)
    if not (folder / INDEX).exists() and not (folder / SINGLE).exists():
        return shape, None
    tensors = read_headers(folder)
    if not config.get("quantization_config"):  # a quantiser stores other tensors
        check_shapes(folder, shape.tensor_shapes(), tensors)
    by_dtype: Counter[str] = Counter()
    for tensor in tensors.values():
        by_dtype[tensor.dtype] += tensor.end - tensor.start
    return shape, Stored(len({tensor.path for tensor in tensors.values()}), dict(by_dtype))


def _find_licence(card: Path | None, shape: CwmShape) -> str:
    """Read the licence in the front matter of a model card, or say whose it would be."""
    try:
        text = card.read_text(encoding="utf-8") if card is not None else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    head = front[1] if front else ""
    fields = dict(re.findall(r"^(license\w*):[ \t]*(?:\n?[ \t]*- )?(.+)$", head, re.MULTILINE))
    values = [
        fields[key].strip(" '\"") for key in ("license", "license_name", "license_link") if key in fields
    ]
    if "fair-noncommercial-research-license" in values:
        return CWM_LICENCE
    if values:
        gated = "; gated" if re.search(r"^extra_gated_", head, re.MULTILINE) else ""
        return ", ".join(values) + gated
    if count_parameters(shape) == count_parameters(read_shape({"model_type": "cwm"}, _CWM_ID)):
        return f"not stated, but the size is CWM-32B's; if these are Meta's weights: {CWM_LICENCE}"
    return "not stated (no model card with a license)"


def _download(name: str) -> tuple[Path, Path | None]:
    """Fetch `config.json` and, if there is one, the model card from the hub."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise CwmTraceError(f"there is no folder {name}, and a hub id has the form OWNER/NAME")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise CwmTraceError(
            f"there is no folder {name}, and asking the hub needs an extra: pip install 'cwm-trace[model]'"
        ) from error
    try:
        config = Path(hf_hub_download(name, "config.json"))
    except Exception as error:  # the hub's own errors, those of its HTTP client, and refused logins
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise CwmTraceError(
            f"there is no folder {name}, and its config.json cannot be fetched from the Hugging Face hub: "
            f"{type(error).__name__}: {reason}"
        ) from error
    try:
        card = Path(hf_hub_download(name, "README.md"))
    except Exception:  # a model without a card is a model still
        return config, None
    return config, card


def _last_layer_note(shape: CwmShape, context: int, batch: int) -> str:
    types = (*shape.layer_types[:-1], FULL)
    size = count_cache_bytes(shape.model_copy(update={"layer_types": types}), context, batch, rings=True)
    return (
        "every fourth layer is global here, as in transformers' CwmConfig; Meta's code makes the last one "
        f"global too unless params.json says otherwise, and rings would then take {_size(size)}"
    )


def _size(count: int) -> str:
    """Write bytes in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"

"""Where a run begins: a new model of the recipe's shape, or any causal language model of transformers.

A tokenizer without the trace tokens gets them. Their rows of the embedding, and of a head of its own, begin
at the mean of the others (Hewitt 2021, nlp.stanford.edu/~johnhew/vocab-expansion.html): a token of that row
is neither likely nor unlikely, where a random one may take all the probability.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedTokenizerBase

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.predict.backends.transformers import load_causal_model
from cwm_trace.model.tokenizer import (
    END_OF_TEXT,
    TOKENIZER_FOLDER,
    build_tokenizer,
    extend_tokenizer,
    load_tokenizer,
    read_tokenizer,
)
from cwm_trace.model.training.batches import load_packed_tokenizer, open_packed
from cwm_trace.model.training.growth import deepen
from cwm_trace.model.training.lora import add_adapter
from cwm_trace.model.training.recipe import Recipe, check_lengths
from cwm_trace.model.training.stream import Mix, texts_of

START = "start.json"
"""File in a run's folder: which model it began with."""


@dataclass(frozen=True)
class Start:
    """What is trained.

    Args:
        model: with its adapter, if there is one.
        tokenizer: with the trace tokens; it is saved in the run's folder.
        length: tokens of a held-out document at the most.
        packs: whether documents in one row are kept apart by their positions.
        begun_with: folder or hub id of the model that it was; None for a new one.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    length: int
    packs: bool = True
    begun_with: str | None = None


def begin(recipe: Recipe, folder: Path, start_from: str | Path | None, device: torch.device) -> Start:
    """The model and the tokenizer that a run has before its first step.

    Args:
        recipe: its plan.
        folder: of the run, which remembers `start_from`.
        start_from: folder or hub id of a model.
        device: where the model goes.

    Raises:
        CwmTraceError: the model cannot be loaded, or does not fit the recipe.
    """
    name = _find_start(folder, start_from)
    if name is not None:
        start = _begin_with(recipe, name, device)
    elif recipe.lora is not None:
        raise CwmTraceError("LoRA trains a model that is there: give one with --from")
    else:
        check_lengths(recipe, recipe.model.max_length)
        tokenizer = _find_tokenizer(recipe, folder)
        model = CwmForCausalLM(recipe.model.config(**_special_ids(tokenizer)))
        _set_attention(model, device)
        start = Start(model, tokenizer, recipe.model.max_length)
    start.model.to(device)
    return start


def add_tokens(model: Any, known: int, new_ids: Sequence[int]) -> None:
    """Give a model rows for new tokens, at the mean of those it knows.

    Args:
        model: a causal language model of transformers.
        known: ids that its tokenizer had; there may be more rows, which nothing was learnt for.
        new_ids: of the new tokens.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if new_ids and max(new_ids) >= rows:
        model.resize_token_embeddings(max(new_ids) + 1, mean_resizing=False)
    new = list(new_ids)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            if layer is None:
                continue
            layer.weight[new] = layer.weight[:known].float().mean(0).to(layer.weight.dtype)
            if getattr(layer, "bias", None) is not None:
                layer.bias[new] = layer.bias[:known].mean()


@torch.no_grad()
def keeps_documents_apart(model: Any) -> bool:
    """Whether a document that begins again at position 0 sees nothing of the one before it in its row.

    Raises:
        CwmTraceError: the model takes no positions.
    """
    rows = torch.arange(2, 34).view(2, 16) % model.config.get_text_config().vocab_size
    rows[1, 8:] = rows[0, 8:]  # two rows that differ in their first documents only
    positions = torch.arange(8).repeat(2).expand(2, 16)
    was_training = model.training
    model.eval()
    try:
        logits = model(rows, position_ids=positions, use_cache=False).logits[:, 8:].float()
    except TypeError as error:
        raise CwmTraceError(
            f"a {type(model).__name__} takes no positions: it cannot be trained here"
        ) from error
    model.train(was_training)
    return bool((logits[0] - logits[1]).abs().max() <= 1e-5 * logits.abs().max())


def _begin_with(recipe: Recipe, name: str, device: torch.device) -> Start:
    tokenizer = read_tokenizer(name)
    known = len(tokenizer)
    new_ids = extend_tokenizer(tokenizer, name)
    if not tokenizer.is_fast:
        raise CwmTraceError(f"the tokenizer of {name} has no tokenizer.json: convert it to a fast one first")
    if recipe.data.packed is not None:
        _check_packed(tokenizer, load_packed_tokenizer(open_packed(recipe, recipe.data.packed)), recipe, name)
    model = _load(recipe, name)
    if new_ids:
        add_tokens(model, known, new_ids)
    reads = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if reads is not None:
        check_lengths(recipe, reads)
    packs = True
    if isinstance(model, CwmForCausalLM):
        if recipe.has_shape and model.config.num_hidden_layers < recipe.model.layers:
            model = deepen(model, recipe.model.layers)
        _set_attention(model, device)
        if recipe.has_shape:
            _check_shape(recipe, model, tokenizer, name)
    else:
        packs = keeps_documents_apart(model)
        _stop_at(model, tokenizer.get_vocab()[END_OF_TEXT])
    if recipe.lora is not None:
        model = add_adapter(model, recipe.lora, new_ids)
    longest = recipe.model.max_length if recipe.has_shape else max(phase.length for phase in recipe.phases)
    return Start(model, tokenizer, longest, packs, name)


def _set_attention(model: CwmForCausalLM, device: torch.device) -> None:
    """Interval attention, which skips what no token of a row may see; on GPUs nobody has trained with it."""
    model.set_attn_implementation("interval" if device.type == "cpu" else "sdpa")


def _load(recipe: Recipe, name: str) -> Any:
    """The model: in float32 where its weights are trained, in bfloat16 where they are only read so."""
    dtype = torch.bfloat16 if recipe.lora is not None and recipe.precision == "bf16" else torch.float32
    try:
        kind = AutoConfig.from_pretrained(name).model_type
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(": ")
        raise CwmTraceError(f"no model can be loaded from {name}: {reason}") from error
    if kind == "cwm" and Path(name).is_dir():
        return load_model(name, dtype=dtype)
    if kind == "cwm":
        return CwmForCausalLM.from_pretrained(name, dtype=dtype)
    if recipe.has_shape:
        raise CwmTraceError(
            f"{name} is a {kind}, and the recipe's [model] describes a CWM: leave the table out"
        )
    return load_causal_model(name, {"dtype": dtype})


def _stop_at(model: Any, end: int) -> None:
    """Let `generate` stop at the end of a trace too."""
    config = getattr(model, "generation_config", None)
    if config is not None:
        ends = config.eos_token_id
        before = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        config.eos_token_id = sorted({*before, end})


def _find_start(folder: Path, start_from: str | Path | None) -> str | None:
    """Where the run began: as it was said now, or when it did."""
    path = folder / START
    before: str | None = json.loads(path.read_text("utf-8"))["from"] if path.exists() else None
    if start_from is None:
        return before
    name = str(Path(start_from).resolve()) if Path(start_from).is_dir() else str(start_from)
    if before is not None and name != before:
        raise CwmTraceError(f"{folder} holds a run that began with {before}, not with {name}")
    return name


def _check_packed(
    tokenizer: PreTrainedTokenizerBase, packed: PreTrainedTokenizerBase, recipe: Recipe, name: str | Path
) -> None:
    if tokenizer.get_vocab() != packed.get_vocab():
        raise CwmTraceError(
            f"{recipe.data.packed} was packed with another tokenizer than {name}'s: pack again with"
            f" --tokenizer {name}"
        )


def _find_tokenizer(recipe: Recipe, folder: Path) -> PreTrainedTokenizerBase:
    home = folder / TOKENIZER_FOLDER
    begun = load_tokenizer(home) if (home / "tokenizer.json").exists() else None
    if recipe.data.packed is not None:
        packed = load_packed_tokenizer(open_packed(recipe, recipe.data.packed))
        _check_packed(begun or packed, packed, recipe, home)
        return packed
    if begun is not None:
        return begun
    mix = Mix(recipe.data.mix, recipe.seed, "train")
    texts = texts_of(map(mix.item, range(recipe.data.tokenizer_programs)))
    shape = recipe.model
    return build_tokenizer(texts, shape.vocabulary, max_length=shape.max_length)


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|eot_id|>")],
        "pad_token_id": tokenizer.pad_token_id,
    }


def _check_shape(
    recipe: Recipe, model: CwmForCausalLM, tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    config = recipe.model.config(**_special_ids(tokenizer))
    for field in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim"):
        is_now, asked = getattr(model.config, field), getattr(config, field)
        if is_now != asked:
            raise CwmTraceError(f"{name} has {field} {is_now}, and the recipe says {asked}")

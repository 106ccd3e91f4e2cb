"""LoRA through `peft`: matrices of low rank are trained beside the weights, which are frozen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training.recipe import Lora


def add_adapter(model: Any, lora: Lora, new_ids: Sequence[int]) -> Any:
    """Freeze a model and put adapters on it; the embeddings of new tokens are trained as they are.

    Args:
        model: a causal language model of transformers.
        lora: what the recipe says.
        new_ids: tokens that the model does not know.

    Raises:
        CwmTraceError: `peft` is missing, or the model has no such layers.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError as error:
        raise CwmTraceError(
            f"LoRA needs {error.name}, which is not installed: pip install 'cwm-trace[finetune]'"
        ) from error
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    if ends[1] is None or ends[1].weight is ends[0].weight:
        ends.pop()  # peft ties what belongs to it
    names = [name.rpartition(".")[2] for name, module in model.named_modules() if module in ends]
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        trainable_token_indices={name: list(new_ids) for name in names} if new_ids else None,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft uses what transformers is about to rename
            return get_peft_model(model, config)
    except ValueError as error:  # no such target
        raise CwmTraceError(f"LoRA cannot be added: {str(error).partition(chr(10))[0]}") from error


def merge_adapter(model: Any, folder: Path) -> Any:
    """Write the adapter, and add it to the weights of the model, which is returned."""
    model.save_pretrained(str(folder), save_embedding_layers=False)
    return model.merge_and_unload()

"""What a run needs to go on after a kill: one file, replaced as a whole; and the model that others load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import GenerationConfig, PreTrainedTokenizerBase

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.tokenizer import save_tokenizer

STATE = "state.pt"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state of tensors and plain data; a kill leaves the old one or the new one."""
    new = folder / f"{STATE}.new"
    with new.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / STATE)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The state in a run's folder; None if there is none yet.

    Raises:
        CwmTraceError: it cannot be read.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zipfile, pickle, torch
        raise CwmTraceError(
            f"cannot go on from {path} ({type(error).__name__}): move it away to begin again"
        ) from error
    return state


def save_model(model: CwmForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a folder that transformers, vLLM and `load_model` take: weights in bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()
    }
    new = folder / "model.safetensors.new"
    save_file(weights, str(new), metadata={"format": "pt"})
    new.replace(folder / "model.safetensors")
    config = type(model.config)(**model.config.to_dict())
    config.architectures = ["CwmForCausalLM"]
    config.dtype = "bfloat16"
    config.save_pretrained(str(folder))
    GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        do_sample=False,
    ).save_pretrained(str(folder))
    save_tokenizer(tokenizer, folder)

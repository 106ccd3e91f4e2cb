"""What a run needs to go on after a kill: one file, replaced as a whole; and the model that others load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedTokenizerBase

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import open_whole
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.tokenizer import save_tokenizer

_STATE = "state.pt"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a state of tensors and plain data; a kill leaves the old one or the new one."""
    with open_whole(folder / _STATE) as file:
        torch.save(dict(state), file)


def load_state(folder: Path, processes: int = 1) -> dict[str, Any] | None:
    """The state in a run's folder; None if there is none yet.

    It goes on exactly where it was saved if there were as many processes. If there were not, the documents
    that wait are shared out, and the next programs are those that none of them had asked for yet.

    Args:
        folder: of the run.
        processes: that go on.

    Raises:
        CwmTraceError: it cannot be read, or packed sequences were shared by another number of processes.
    """
    path = folder / _STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zipfile, pickle, torch
        raise CwmTraceError(
            f"cannot go on from {path} ({type(error).__name__}): move it away to begin again"
        ) from error
    for name in ("packer", "random"):  # of every process; older states hold that of one, not in a list
        if not isinstance(state[name], list):
            state[name] = [state[name]]
    if len(state["packer"]) != processes:
        state["packer"] = _share_out(state["packer"], processes, folder)
        state["random"] = [*state["random"], *[None] * processes][:processes]
    return state


def _share_out(packers: list[dict[str, Any]], processes: int, folder: Path) -> list[dict[str, Any]]:
    if "chunk" not in packers[0]:
        raise CwmTraceError(
            f"the run in {folder} shares packed sequences between {len(packers)} processes, and now there are"
            f" {processes}: go on with as many"
        )
    following = max(packer["chunk"] for packer in packers)
    waiting = [document for packer in packers for document in packer["waiting"]]
    return [{"chunk": following + rank, "waiting": waiting[rank::processes]} for rank in range(processes)]


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights without those that are frozen, which are where the run began."""
    frozen = _frozen(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def set_trained_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set what `trained_weights` gave."""
    model.load_state_dict(weights, strict=not _frozen(model))


def _frozen(model: nn.Module) -> set[str]:
    parameters = model.named_parameters(remove_duplicate=False)
    return {name for name, parameter in parameters if not parameter.requires_grad}


def save_model(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a folder that transformers, vLLM and, if it is a CWM, `load_model` take: weights in bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    if not isinstance(model, CwmForCausalLM):
        model.to(torch.bfloat16).save_pretrained(str(folder))  # cast where it is: training is over
        save_tokenizer(tokenizer, folder)
        return
    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()
    }
    with open_whole(folder / "model.safetensors") as file:
        save_file(weights, file.name, metadata={"format": "pt"})
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

"""Two processes that share a model: `python -m tests.model.conformance.ranks FOLDER`.

FOLDER holds `tied` and `untied`, checkpoints, and gets `rank-N.json`: for each plan how far the logits and
the greedy tokens of our class are from those of transformers' class in one process, and what both hold.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from transformers import CwmForCausalLM as Oracle
from transformers.distributed.configuration_utils import DistributedConfig

from cwm_trace.model.modeling import CwmForCausalLM
from tests.model.forked import run_two
from tests.model.pairs import tokens

PLANS = {
    "tensor": DistributedConfig(tp_size=2),
    "pipeline": DistributedConfig(pp_size=2),
    "fsdp": DistributedConfig(fsdp_size=2),
}


def run(model: Any) -> dict[str, Any]:
    """Logits, loss and greedy tokens."""
    ids = tokens(2, 12)
    with torch.no_grad():
        logits = full(model(ids).logits)
        written = model.generate(ids, max_new_tokens=3, do_sample=False)
    return {"logits": logits.tolist(), "tokens": written.tolist()}


def gradients(model: Any) -> list[float]:
    """The size of each parameter's gradient."""
    ids = tokens(2, 12)
    model.train()(ids, labels=ids, use_cache=False).loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return [float(full(found[name]).norm()) for name in sorted(found)]


def full(tensor: Any) -> torch.Tensor:
    """The whole of a tensor that several processes hold."""
    whole: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return whole


def compare(folder: Path) -> dict[str, Any]:
    """Every plan, head and class against one process."""
    found: dict[str, Any] = {}
    for head in ("tied", "untied"):
        alone: Any = Oracle.from_pretrained(folder / head, attn_implementation="sdpa")
        alone.eval()
        want, slopes = run(alone), gradients(alone)
        for plan, config in PLANS.items():
            for side, cls in (("ours", CwmForCausalLM), ("theirs", Oracle)):
                key = f"{plan} {head} {side}"
                try:
                    loader: Any = cls
                    model = loader.from_pretrained(
                        folder / head, distributed_config=config, attn_implementation="sdpa"
                    ).eval()
                    entry: dict[str, Any] = {
                        "held": sum(local(parameter).numel() for parameter in model.parameters())
                    }
                    if side == "ours":
                        entry |= tell_apart(model, want, None if plan == "pipeline" else slopes)
                except Exception as error:  # the parent says which
                    entry = {"error": f"{type(error).__name__}: {error}"[:2000]}
                found[key] = entry
                dist.barrier()
    return found


def tell_apart(model: Any, want: dict[str, Any], slopes: list[float] | None) -> dict[str, Any]:
    """How far a model is from what one process says; transformers' pipeline computes no gradients."""
    got = run(model)
    apart = torch.tensor(got["logits"]) - torch.tensor(want["logits"])
    entry = {"apart": float(apart.abs().max()), "same tokens": got["tokens"] == want["tokens"]}
    if slopes is not None:
        entry["slopes apart"] = max(abs(a - b) for a, b in zip(gradients(model), slopes, strict=True))
    return entry


def local(parameter: Any) -> torch.Tensor:
    """What this process holds of a parameter."""
    held: torch.Tensor = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return held


def main() -> None:
    """Compare in two processes, and leave what came of it in the folder."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])

    def work(rank: int) -> None:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
        with patch("torch._C._get_accelerator", return_value=torch.device("cpu")):
            found = compare(folder)
        (folder / f"rank-{rank}.json").write_text(json.dumps(found))

    run_two(work)


if __name__ == "__main__":
    main()

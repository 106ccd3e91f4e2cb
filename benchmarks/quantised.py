"""What 8 and 4 bits do to size, logits and speed, with what is installed, on the CPU in float32.

    python benchmarks/quantised.py [--threads 1]

The model has the measures of the one in `benchmarks/model.py` and random weights, so the shares of equal
greedy tokens say less than those of a trained model would. Packages: torchao, bitsandbytes, optimum-quanto;
each is optional.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers

from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM

SHAPE: dict[str, Any] = {
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "sliding_window": 256,
    "max_position_embeddings": 16_384,
    "bos_token_id": 0,
    "eos_token_id": [1],
    "pad_token_id": 2,
}


def choices() -> Iterator[tuple[str, Any]]:
    """Name and configuration of what can be tried here."""
    if find_spec("torchao"):
        torchao: Any = import_module("torchao.quantization")
        yield "torchao, int8 weights", transformers.TorchAoConfig(torchao.Int8WeightOnlyConfig())
        activations = torchao.Int8DynamicActivationInt8WeightConfig()
        yield "torchao, int8 weights and activations", transformers.TorchAoConfig(activations)
    if find_spec("bitsandbytes"):
        make: Any = transformers.BitsAndBytesConfig
        yield "bitsandbytes, int8", make(load_in_8bit=True)
        yield "bitsandbytes, nf4", make(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    if find_spec("optimum"):
        for kind in ("int8", "int4"):
            yield f"optimum-quanto, {kind}", transformers.QuantoConfig(weights=kind)


def count_bytes(model: Any) -> int:
    """Bytes of all weights, with what is inside of tensor subclasses."""

    def inside(tensor: Any) -> int:
        if not hasattr(tensor, "__tensor_flatten__"):
            return int(tensor.nbytes)
        return sum(inside(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])

    return sum(inside(tensor) for tensor in (*model.parameters(), *model.buffers()))


@torch.no_grad()
def time_forward(model: Any, ids: torch.Tensor, repeats: int = 7) -> float:
    """Best milliseconds of a forward pass."""
    model(ids, use_cache=False)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        model(ids, use_cache=False)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        CwmForCausalLM(CwmConfig(**SHAPE)).save_pretrained(folder)
        plain = load_model(Path(folder))
        ids = torch.randint(3, 1024, (1, 512))
        with torch.no_grad():
            want = plain(ids).logits
        print(f"{'':<40}{'MB':>7}{'error':>8}{'same':>7}{'512 tok ms':>12}{'1 tok ms':>10}")
        for name, config in (("float32", None), *choices()):
            options: Any = {"quantization_config": config, "device_map": "cpu"} if config else {}
            model: Any = load_model(Path(folder), dtype=torch.float32, **options)
            with torch.no_grad():
                got = model(ids).logits
            error = float((got - want).norm() / want.norm())
            same = float((got.argmax(-1) == want.argmax(-1)).float().mean())
            print(
                f"{name:<40}{count_bytes(model) / 1e6:>7.1f}{error:>8.3f}{same:>7.3f}"
                f"{time_forward(model, ids):>12.1f}{time_forward(model, ids[:, :1]):>10.2f}",
                flush=True,
            )
    print("error: |logits - float32's| / |float32's|; same: share of 512 tokens whose argmax is the same")


if __name__ == "__main__":
    main()

"""Time a training step of ours against transformers' own class in a plain loop, on the same packed documents.

    python benchmarks/train.py [--threads 1] [--repeats 15] [--cpu-time] [--json out.json]

Both sides begin with the same weights and get the same batches of generated documents, in float32, and both
keep the documents of a row apart: ours with interval attention and the loop's own loss, transformers' with
`sdpa`, positions that begin again in every document, and labels. Both clip and take a step of the same AdamW.
They take turns, batch by batch, so that whatever else the machine does slows down both. A row shows tokens a
second (padding not counted) of the best step of each side, their ratio, and the ratio of the medians;
with --cpu-time seconds of CPU, for a machine that does other things.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CwmForCausalLM as Theirs

from cwm_trace.datasets.tokenizing import LEARNT
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.tokenizer import build_tokenizer, save_tokenizer
from cwm_trace.model.training.document_rows import Batch, Packer
from cwm_trace.model.training.loss import field_weights, weighted_loss
from cwm_trace.model.training.optimizers import make_optimizers
from cwm_trace.model.training.recipe import Loss, Optimizer, Shape
from cwm_trace.model.training.stream import Mix, Stream, texts_of

SHAPE = Shape(width=192, layers=6, heads=3, kv_heads=1, head_dim=64, wide=576, vocabulary=1024)
MIX = Mix({"general-v1": 1.0}, 1, "train")
TOKENS = 4096
"""Of a batch."""
WANTED = 1.3
"""Ratio this project promises."""

Step = Callable[[Batch], float]
"""A training step; its loss."""


@dataclass
class Row:
    """Tokens a second of each side, by its best step and by its median one."""

    length: int
    ours: float
    theirs: float
    ours_median: float
    theirs_median: float
    wanted: float = WANTED

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.ours / self.theirs


def our_step(model: Any, optimizers: list[torch.optim.Optimizer], clip: float) -> Step:
    """As in `cwm_trace.model.training.loop`."""
    weights = field_weights(Loss())

    def run(batch: Batch) -> float:
        logits = model(batch.ids, position_ids=batch.positions, use_cache=False).logits
        loss, _ = weighted_loss(logits, batch, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return run


def their_step(model: Any, optimizers: list[torch.optim.Optimizer], clip: float) -> Step:
    """As in any loop around a model of transformers."""
    learnt = torch.tensor(LEARNT)

    def run(batch: Batch) -> float:
        labels = torch.where(torch.isin(batch.fields, learnt), batch.ids, -100)
        loss = model(batch.ids, position_ids=batch.positions, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.item())

    return run


def compare(batches: list[Batch], ids: dict[str, Any], clock: Callable[[], float]) -> Row:
    """Train both models on batches of one shape; the first batch warms up and does not count."""
    torch.manual_seed(0)
    ours: Any = CwmForCausalLM(SHAPE.config(**ids))
    theirs: Any = Theirs(SHAPE.config(**ids))  # its own: a config says how to attend
    theirs.load_state_dict(ours.state_dict())
    ours.set_attn_implementation("interval"), theirs.set_attn_implementation("sdpa")
    assert (ours.config._attn_implementation, theirs.config._attn_implementation) == ("interval", "sdpa")
    ours.train(), theirs.train()
    settings = Optimizer()
    steps = []
    for make, model in ((our_step, ours), (their_step, theirs)):
        optimizers = make_optimizers(model, settings)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = 1e-3
        steps.append(make(model, optimizers, settings.clip))
    speeds: tuple[list[float], list[float]] = ([], [])
    for number, batch in enumerate(batches):
        losses = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            start = clock()
            losses[side] = steps[side](batch)
            speeds[side].append(batch.tokens / (clock() - start))
        assert abs(losses[0] - losses[1]) < 1e-2, f"step {number}: losses {losses} of what should be the same"
    middle = [statistics.median(side[1:]) for side in speeds]
    row = Row(batches[0].ids.shape[1], max(speeds[0][1:]), max(speeds[1][1:]), *middle)
    print(
        f"{f'rows of {row.length}, {len(batches[0].ids)} of them':<30}{row.ours:>12,.0f}{row.theirs:>12,.0f}"
        f"{row.ratio:>8.2f}{row.ours_median / row.theirs_median:>9.2f}{row.wanted:>8.1f}",
        flush=True,
    )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15, help="steps of each side")
    parser.add_argument("--programs", type=int, default=300, help="that the tokenizer is built from")
    parser.add_argument("--cpu-time", action="store_true", help="of the process, instead of the clock's time")
    parser.add_argument("--json", help="write the rows to this file")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(arguments.threads)
    texts = texts_of(map(MIX.item, range(arguments.programs)))
    tokenizer = build_tokenizer(texts, SHAPE.vocabulary, max_length=SHAPE.max_length)
    ids = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    size = sum(weight.numel() for weight in CwmForCausalLM(SHAPE.config(**ids)).parameters())
    print(
        f"{size / 1e6:.1f} M parameters, float32, AdamW, {arguments.threads} thread(s), "
        f"torch {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}"
    )
    print(f"{'tokens a second':<30}{'ours':>12}{'other':>12}{'ratio':>8}{'medians':>9}{'wanted':>8}")
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder))
        for length in (512, 1024, 2048):
            stream = Stream(MIX, Path(folder) / "tokenizer.json", workers=0)
            packer = Packer(stream, ids["pad_token_id"])
            rows_of = [packer.batch(TOKENS // length, length) for _ in range(arguments.repeats + 1)]
            batches = list(map(Batch.of, rows_of))
            rows.append(compare(batches, ids, clock))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump([asdict(row) | {"ratio": row.ratio} for row in rows], file, indent=1)


if __name__ == "__main__":
    main()

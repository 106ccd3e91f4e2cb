"""Compare recipes at equal time: what variations of a small recipe have learnt after minutes on one core.

    python benchmarks/recipes.py [--minutes 4] [--only base,adamw] [--at-once 1] [--json out.json]

Every variation begins with new weights, reads programs of `general-v1` of the same seed and is stopped after
so many minutes of training (the making of programs counts, the building of its tokenizer does not). The rate
warms up over 30 steps and stays. Then each reads the same held-out programs (another seed, constants of split
`dev`), of each the first frames, along the truth. A row shows tokens read; parameters; nats a frame, with a
95 % interval (bootstrap over programs), which is comparable between vocabularies as nats a token are not;
of these, nats spent on changed values, on source lines and on the rest; and the share of frames right.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from cwm_trace.datasets.tokenizing import TokenizedTrace, tokenize_trace
from cwm_trace.eval.statistics.estimates import Estimate, bootstrap_ratios
from cwm_trace.model.loading import load_model
from cwm_trace.model.tokens import read_tokens
from cwm_trace.model.training.evaluation import Tally, read_document
from cwm_trace.model.training.loop import train
from cwm_trace.model.training.recipe import Recipe
from cwm_trace.model.training.stream import Mix, record
from cwm_trace.wire.tokens import Special

FRAMES = 16
"""Read of every held-out program, so that all models read the same text whatever their tokens are."""

BASE: dict[str, Any] = {
    "seed": 1,
    "precision": "fp32",
    "save_every": 10**6,
    "model": {"width": 128, "layers": 4, "heads": 2, "kv_heads": 1, "wide": 384},
    "data": {"tokenizer_programs": 500},
    "loss": {"locals": 0.5, "source": 0.5},
    "optimizer": {"kind": "muon"},
    "evaluation": {"every": 0},
    "phases": {"rate": 6e-3, "length": 512, "rows": 8},
}
"""A recipe; of its phases what is the same in all."""

VARIATIONS: dict[str, dict[str, Any]] = {
    "base": {},
    "adamw": {"optimizer": {"kind": "adamw"}, "phases": {"rate": 3e-3}},
    "wide": {"model": {"width": 192, "layers": 2, "heads": 3, "wide": 576}},
    "deep": {"model": {"width": 96, "layers": 7, "heads": 1, "wide": 288}},
    "vocabulary-512": {"model": {"vocabulary": 512}},
    "vocabulary-2048": {"model": {"vocabulary": 2048}},
    "equal-fields": {"loss": {"locals": 1.0, "source": 1.0}},
    "values-first": {"loss": {"locals": 0.2, "source": 0.2}},
}
"""What differs from the base."""


@dataclass(frozen=True)
class Row:
    """What a variation has learnt."""

    name: str
    parameters: int
    steps: int
    tokens: int
    nats: Estimate
    """A frame, in all."""
    changed: float
    source: float
    other: float
    """Nats a frame by field."""
    frames: Estimate
    """Share right."""


def recipe_of(name: str) -> Recipe:
    """The base with what a variation changes."""
    parts = {
        key: {**value, **VARIATIONS[name].get(key, {})} if isinstance(value, dict) else value
        for key, value in BASE.items()
    }
    phase = parts.pop("phases")
    rate = phase.pop("rate")
    warm = {"steps": 30, "rate": [0.0, rate], **phase}
    return Recipe.model_validate(
        {"name": name, **parts, "phases": [warm, {"steps": 10**6, "rate": [rate, rate], **phase}]}
    )


def run(name: str, minutes: float, programs: int) -> Row:
    """Train a variation in this process, on one thread, and let it read."""
    torch.set_num_threads(1)

    def stop_in_time(line: Mapping[str, Any]) -> None:
        if line["seconds"] > 60 * minutes:
            os.kill(os.getpid(), signal.SIGTERM)  # which ends a run after its step

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        ended = train(recipe_of(name), folder, workers=0, report=stop_in_time)
        model = load_model(folder / "model", dtype=torch.float32)
        tokens = read_tokens(folder / "model" / "tokenizer.json")
    frame_end = tokens.ids[Special.FRAME]
    tallies = []
    for item in map(Mix({"general-v1": 1.0}, 2, "dev").item, range(programs)):
        trace = record(item)
        if trace is not None:
            tally = Tally()
            read_document(model, first_frames(tokenize_trace(trace, tokens), frame_end), frame_end, tally)
            tallies.append(tally)
    counts = [tally.total["frames"] for tally in tallies]
    nats = [sum(tally.nats.values()) for tally in tallies]
    right = [tally.right["frames"] for tally in tallies]
    each, share = bootstrap_ratios(
        list(zip(nats, right, strict=True)), list(zip(counts, counts, strict=True)), are_shares=[False, True]
    )
    changed, source = (
        sum(tally.nats[field] for tally in tallies) / sum(counts) for field in ("changed", "source")
    )
    return Row(
        name,
        sum(weight.numel() for weight in model.parameters()),
        ended.steps,
        ended.tokens,
        each,
        changed,
        source,
        sum(nats) / sum(counts) - changed - source,
        share,
    )


def first_frames(document: TokenizedTrace, frame_end: int) -> TokenizedTrace:
    """A document up to the end of its first frames."""
    ends = [at for at, number in enumerate(document.ids, 1) if number == frame_end and at > document.given]
    return document.cut(ends[FRAMES - 1]) if len(ends) >= FRAMES else document


def run_all(names: list[str], minutes: float, programs: int, at_once: int) -> Iterator[Row]:
    """Each variation in a process of its own."""
    with ProcessPoolExecutor(at_once, get_context("spawn"), max_tasks_per_child=1) as pool:
        yield from pool.map(run, names, [minutes] * len(names), [programs] * len(names))


def shown(estimate: Estimate, digits: int) -> str:
    """A number with its interval."""
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="of training")
    parser.add_argument("--only", default=",".join(VARIATIONS), help="these variations")
    parser.add_argument("--programs", type=int, default=100, help="that are held out")
    parser.add_argument("--at-once", type=int, default=1, help="variations; no more than there are cores")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = [name for name in names if name not in VARIATIONS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(VARIATIONS)}")
    rows: list[Row] = []
    print(
        "| variation | parameters | steps | tokens | nats a frame | changed | source | rest | frames right |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for row in run_all(names, options.minutes, options.programs, options.at_once):
        rows.append(row)
        print(
            f"| {row.name} | {row.parameters / 1e6:.2f} M | {row.steps:,} | {row.tokens / 1e6:.2f} M"
            f" | {shown(row.nats, 2)} | {row.changed:.2f} | {row.source:.2f} | {row.other:.2f}"
            f" | {shown(row.frames, 3)} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""A run that takes seconds, and documents of small programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cwm_trace.model.tokenizer import build_tokenizer, save_tokenizer
from cwm_trace.model.training.recipe import Recipe, make_recipe
from cwm_trace.model.training.stream import Mix, texts_of

MIX = Mix({"counters": 1.0, "exceptions": 1.0, "general": 1.0}, 5, "train")


def tiny_recipe(steps: int = 12, **changes: Any) -> Recipe:
    """One layer of width 64 on short programs, in fp32."""
    table: dict[str, Any] = {
        "seed": 3,
        "precision": "fp32",
        "save_every": 3,
        "model": {
            "width": 64,
            "layers": 1,
            "heads": 1,
            "kv_heads": 1,
            "wide": 64,
            "vocabulary": 400,
            "max_length": 512,
        },
        "data": {"mix": {"composition": 1.0}, "tokenizer_programs": 10},
        "evaluation": {"every": 6, "mix": {"composition": 1.0}, "programs": 2},
        "phases": [{"steps": steps, "rate": [0.01, 0.01], "length": 256, "rows": 2}],
    }
    return make_recipe({**table, **changes})


def save_words(folder: Path) -> Path:
    """A tokenizer of small programs; the path of its `tokenizer.json`."""
    tokenizer = build_tokenizer(texts_of(map(MIX.item, range(12))), 400)
    save_tokenizer(tokenizer, folder)
    return folder / "tokenizer.json"


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log's lines, without what the clock says."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]

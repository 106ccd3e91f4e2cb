"""A small run arrives where docs/training.md says: two minutes of one core, and copying is learnt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cwm_trace.model.training.loop import train
from cwm_trace.model.training.recipe import read_recipe

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "model" / "training" / "reproduction.toml"
LAST = 40
"""Steps whose mean is the final loss: one batch has two documents."""


def bands() -> dict[str, tuple[float, float]]:
    """The table of the docs: least and greatest value by name."""
    text = (
        (ROOT / "docs" / "training.md")
        .read_text("utf-8")
        .partition("## Doing it again")[2]
        .partition("\n## ")[0]
    )
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    return {
        name.partition("`")[2].partition("`")[0]: (float(low), float(high)) for name, low, high, _ in rows[2:]
    }


@pytest.mark.ci  # two minutes of one core
def test_the_small_run_arrives_where_the_docs_say(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert train(read_recipe(str(RECIPE)), tmp_path, workers=0).finished
    finally:
        torch.set_num_threads(threads)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[0] > 5.5, "nothing is known yet"
    found = {"loss": sum(losses[-LAST:]) / LAST, **lines[-1]["held_out"]}
    assert len(bands()) == 5
    wrong = {name: found[name] for name, (low, high) in bands().items() if not low <= found[name] <= high}
    assert not wrong, f"outside of {bands()}"

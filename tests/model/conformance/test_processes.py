"""Tensor parallel, pipeline parallel and FSDP2 by transformers' own plans, in two processes over gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.placement import place_model
from cwm_trace.model.shape import read_shape
from tests.effort import HANGS
from tests.model.pairs import pair, small_config

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two processes say of every plan, head and class; they say the same."""
    folder = tmp_path_factory.mktemp("ranks")
    for head in ("tied", "untied"):
        ours, _ = pair(small_config(tie_word_embeddings=head == "tied", vocab_size=100))
        ours.save_pretrained(folder / head)
    process = subprocess.run(
        [sys.executable, "-m", "tests.model.conformance.ranks", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANGS,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    first, second = (json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert first.keys() == second.keys()
    merged: dict[str, Any] = {key: [first[key], second[key]] for key in first}
    return merged


@pytest.mark.ci
@pytest.mark.parametrize("head", ["tied", "untied"])
@pytest.mark.parametrize("plan", ["tensor", "pipeline", "fsdp"])
def test_two_processes_say_what_one_says(found: dict[str, Any], plan: str, head: str) -> None:
    ours, theirs = found[f"{plan} {head} ours"], found[f"{plan} {head} theirs"]
    for entry in ours:
        assert entry.get("error") is None
        assert entry["apart"] <= 1e-5
        assert entry["same tokens"]
        if plan != "pipeline":
            assert entry["slopes apart"] <= 1e-4
    assert [entry["held"] for entry in ours] == [entry["held"] for entry in theirs]


@pytest.mark.ci
@pytest.mark.parametrize("plan", ["tensor", "pipeline", "fsdp"])
def test_no_process_holds_the_whole_model(found: dict[str, Any], plan: str) -> None:
    whole = sum(parameter.numel() for parameter in CwmForCausalLM(small_config(vocab_size=100)).parameters())
    for entry in found[f"{plan} untied ours"]:
        assert entry["held"] < 0.6 * whole  # norms are small, and everybody has them under tensor parallel


@pytest.mark.ci
@pytest.mark.parametrize("head", ["tied", "untied"])
def test_a_process_holds_what_model_info_counts(found: dict[str, Any], head: str) -> None:
    config = small_config(tie_word_embeddings=head == "tied", vocab_size=100)
    placed = place_model(read_shape(config.to_dict(), "small"), 2, "fp32", 512)
    assert [4 * entry["held"] for entry in found[f"tensor {head} ours"]] == [placed.weights] * 2

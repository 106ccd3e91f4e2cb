"""`cwm-trace train`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

RECIPE = """
precision = "fp32"
model = { width = 32, layers = 1, heads = 1, kv_heads = 1, head_dim = 32, wide = 32, vocabulary = 300 }
data = { mix = { composition = 1 }, tokenizer_programs = 2 }
evaluation = { every = 2, mix = { composition = 1 }, programs = 1 }
[[phases]]
steps = 2
rate = [0.0, 1e-3]
length = 512
rows = 1
"""


def test_a_run_leaves_a_model(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    command = ["train", "recipe.toml", "-o", "run", "--threads", "1", "--workers", "0", "--every", "1"]
    result = cli(*command)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("step 1: loss ")
    assert lines[2].startswith("step 2: held out, right: frames ")
    assert lines[-1].startswith("run: 2 of 2 steps, ")
    assert lines[-1].endswith(" tokens: finished")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "generation_config.json"):
        assert (tmp_path / "run" / "model" / name).stat().st_size > 0


def test_a_wrong_recipe_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("seed = -1\n[[phases]]\nsteps = 1\nrate = [0, 1]\n")
    result = cli("train", "recipe.toml", "-o", "run")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("cwm-trace: recipe.toml is no training recipe: seed: ")
    assert not (tmp_path / "run").exists()


def test_packed_sequences_are_trained_on(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    command = ["train", "recipe.toml", "-o", "run", "--threads", "1", "--workers", "0"]
    assert cli(*command).returncode == 0
    built = cli(
        "dataset", "build", "--family", "composition", "--count", "20", "-o", "data", "--workers", "1"
    )
    assert built.returncode == 0, built.stderr
    packed = cli("dataset", "pack", "data", "-o", "packed", "--length", "512", "--tokenizer", "run/model")
    assert packed.returncode == 0, packed.stderr
    assert (tmp_path / "packed" / "tokenizer" / "tokenizer.json").exists()
    data = "data = { mix = { composition = 1 }, tokenizer_programs = 2 }"
    assert data in RECIPE
    (tmp_path / "packed.toml").write_text(RECIPE.replace(data, 'data = { packed = "packed" }'))
    result = cli("train", "packed.toml", "-o", "more", "--from", "run/model", "--threads", "1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith("more: 2 of 2 steps, ")

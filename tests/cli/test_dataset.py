"""`cwm-trace dataset`: bad input is one sentence, good input is a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytest.importorskip("rensa")
pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "-o", "out"], "there is nothing to build"),
        (["build", "recipe.toml", "-o", "out"], "there is no family 'nothing'"),
        (["build", "--preset", "nothing", "--count", "2", "-o", "out"], "there is no preset 'nothing'"),
        (["build", "--family", "counters", "-o", "out"], "count is 0"),
        (
            ["build", "--family", "counters", "--count", "2", "--knob", "steps", "-o", "out"],
            "is not NAME=VALUE",
        ),
        (["build", "recipe.toml", "--seed", "3", "-o", "out"], "leave the options out"),
        (["build", "--family", "counters", "--count", "2", "-o", "a_file"], "a_file"),
        (
            ["build", "--family", "counters", "--count", "2", "-o", "/proc/none/here"],
            "cannot write /proc/none",
        ),
        (["build", "--family", "counters", "--count", "2", "-o", "taken"], "taken is not empty"),
        (["stats", "missing"], "missing is not a finished dataset"),
        (["pack", "missing", "-o", "p"], "missing holds no split 'train' of a dataset"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_are_one_sentence(cli: Cli, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "recipe.toml").write_text('[[sources]]\nfamily = "nothing"\ncount = 20\n')
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text("{")
    result = cli("dataset", *arguments)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("cwm-trace: ")
    assert words in last
    assert "Traceback" not in result.stderr
    assert (tmp_path / "taken" / "x").read_text() == "x"


def test_from_options_to_packed_sequences(cli: Cli, tmp_path: Path) -> None:
    options = ["--family", "counters", "--knob", "steps=6", "--count", "40", "--seed", "3", "--workers", "1"]
    built = cli("dataset", "build", *options, "-o", "out", "--json")
    assert built.returncode == 0, built.stderr
    manifest = json.loads(built.stdout)
    assert manifest["recipe"]["sources"][0]["knobs"] == {"steps": 6}
    assert manifest["tried"] == 40
    again = cli("dataset", "build", *options, "-o", "out")
    assert again.returncode == 0
    assert "rows of 40 programs" in again.stdout

    stats = cli("dataset", "stats", "out", "--json", "--plots", "plots.png")
    assert stats.returncode == 0, stats.stderr
    found = json.loads(stats.stdout)
    assert found["rows"]["train"] == manifest["rows"]["train"]
    assert found["families"] == {"counters": sum(manifest["rows"].values())}
    assert found["frames"]["least"] > 3
    assert found["bytes"]["mean"] * sum(found["rows"].values()) == pytest.approx(
        sum(found["bytes_per_field"].values()), rel=0.01
    )
    assert (tmp_path / "plots.png").read_bytes().startswith(b"\x89PNG")
    assert "locals" in cli("dataset", "stats", "out").stdout

    packed = cli("dataset", "pack", "out", "-o", "packed", "--length", "512", "--json")
    assert packed.returncode == 0, packed.stderr
    info = json.loads(packed.stdout)
    assert info["documents"] == manifest["rows"]["train"]
    assert info["tokens"] <= info["sequences"] * 512
    card = (tmp_path / "out" / "README.md").read_text()
    assert "family `counters`, 40 programs (steps = 6)" in card

"""Recipes are checked before anything is done, and a wrong one is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training.recipe import make_recipe, read_recipe
from tests.model.training.runs import tiny_recipe

BUNDLED = Path(__file__).parents[3] / "model" / "training" / "cwm-mini.toml"
PHASES = [{"steps": 10, "rate": [0.0, 1.0]}, {"steps": 4, "rate": [1.0, 0.0], "length": 64}]


def test_the_rate_is_a_line_in_each_phase() -> None:
    recipe = make_recipe({"phases": PHASES})
    rates = [recipe.at(step + 1)[1] for step in range(recipe.steps)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.75, 0.5, 0.25, 0.0])
    assert [recipe.at(place)[0].length for place in (10, 10.5, 11)] == [512, 64, 64]
    assert recipe.at(10.5)[1] == pytest.approx(0.875)
    with pytest.raises(IndexError):
        recipe.at(15)


def test_the_bundled_recipe_is_one() -> None:
    recipe = read_recipe(str(BUNDLED))
    assert recipe.name == "cwm-mini"
    assert recipe.phases[-1].rate[1] == 0.0


def test_digests_tell_recipes_apart() -> None:
    assert tiny_recipe().digest() == tiny_recipe().digest()
    assert tiny_recipe().digest() != tiny_recipe(seed=4).digest()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "no training recipe: phases: Field required"),
        ({"phases": []}, "phases: List should have at least 1 item"),
        ({"phases": PHASES, "stepz": 1}, "stepz: there is no such name, only"),
        ({"phases": [{"steps": 0, "rate": [0, 1]}]}, "phases.0.steps: Input should be greater than"),
        ({"phases": [{"steps": 1, "rate": [0, -1]}]}, "phase 1 has a negative rate"),
        (
            {"model": {}, "phases": [{"steps": 1, "rate": [0, 1], "length": 9999}]},
            "phase 1 has rows of 9999 tokens",
        ),
        ({"phases": PHASES, "data": {"mix": {"nothing": 1}}}, "no family or preset 'nothing'"),
        ({"phases": PHASES, "data": {"mix": {"counters": -1}}}, "weight of counters is -1.0"),
        (
            {"phases": PHASES, "data": {"packed": "p", "mix": {"counters": 1}}},
            "data has packed sequences, so leave its mix out",
        ),
        ({"phases": PHASES, "evaluation": {"mix": {}}}, "a mix needs a family or preset"),
        ({"phases": PHASES, "model": {"heads": 3, "kv_heads": 2}}, "3 heads cannot share 2 kv_heads"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CwmTraceError) as caught:
        make_recipe(table)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    with pytest.raises(CwmTraceError, match="cannot read"):
        read_recipe(str(path))
    path.write_text("steps = = 1")
    with pytest.raises(CwmTraceError, match="is not TOML"):
        read_recipe(str(path))

"""Recipes: what is wrong with one is said before anything is built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.datasets.builder import build_dataset, plan_units
from cwm_trace.datasets.dataset_recipe import make_recipe, read_recipe
from cwm_trace.errors import CwmTraceError

if sys.version_info < (3, 11):
    pytest.importorskip("tomli")

GOOD = '[[sources]]\nfamily = "counters"\ncount = 20\n'


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("x = [\n", "is not TOML"),
        ("", "sources: Field required"),
        ("sources = []\n", "sources: List should have at least 1 item"),
        ("nonsense = 1\n" + GOOD, "nonsense: there is no such name, only name, seed, sources, splits"),
        (
            GOOD.replace("family", "famly"),
            "sources.0.famly: there is no such name, only preset, family, items",
        ),
        (GOOD + "[duplicates]\nfar = 1\n", "duplicates.far: there is no such name, only near, apart"),
        (GOOD.replace("counters", "nothing"), "there is no family 'nothing': choose one of"),
        ('[[sources]]\npreset = "nothing"\ncount = 1\n', "there is no preset 'nothing'"),
        (GOOD.replace("20", "0"), "count is 0"),
        (GOOD.replace("20", "-1"), "sources.0.count"),
        (GOOD + "knobs = { steps = 100000 }\n", "knob steps is 100000: it goes from"),
        (GOOD + "knobs = { nothing = 1 }\n", "has no knob 'nothing'"),
        (GOOD + 'twins = ["nothing"]\n', "there is no twin 'nothing'"),
        (
            GOOD + 'preset = "general-v1"\n',
            "needs one of preset, family, items and pytest: it has preset and family",
        ),
        ("[[sources]]\ncount = 2\n", "it has none"),
        ('[[sources]]\nitems = "nothing:x"\n', "there is no loader 'nothing'"),
        ('[[sources]]\npytest = "missing"\n', "is not a folder"),
        (GOOD + "[duplicates]\nnear = 2\n", "duplicates.near"),
        (GOOD + "[splits]\ntrain = -1\ndev = 3\n", "shares of splits are not negative"),
        (GOOD + '[decontaminate]\nagainst = ["nothing"]\n', "there is no loader 'nothing'"),
    ],
)
def test_a_bad_recipe_is_one_sentence(tmp_path: Path, recipe: str, words: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe)
    with pytest.raises(CwmTraceError) as raised:
        read_recipe(str(path))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value).strip()


def test_a_missing_recipe() -> None:
    with pytest.raises(CwmTraceError, match=r"cannot read missing\.toml"):
        read_recipe("missing.toml")


def test_a_benchmark_that_cannot_be_read(tmp_path: Path) -> None:
    recipe = make_recipe(
        {
            "sources": [{"family": "counters", "count": 1}],
            "decontaminate": {"against": ["cruxeval:missing.jsonl"]},
        }
    )
    with pytest.raises(CwmTraceError, match=r"cannot read missing\.jsonl"):
        build_dataset(recipe, tmp_path / "out")


def test_the_example_of_the_module_is_a_recipe(tmp_path: Path) -> None:
    from cwm_trace.datasets import dataset_recipe

    (tmp_path / "recipe.toml").write_text(str(dataset_recipe.__doc__).partition("\n\n")[2])
    read = read_recipe(str(tmp_path / "recipe.toml"))
    assert read.sources[0].twins == ("rename", "comment")
    assert read.decontaminate.threshold == 0.8


@given(
    count=st.integers(1, 5000),
    unit=st.integers(1, 700),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda shares: sum(shares) > 0.01),
)
def test_units_cover_every_item_once(count: int, unit: int, shares: list[float]) -> None:
    recipe = make_recipe(
        {
            "sources": [{"family": "counters", "count": count}],
            "unit": unit,
            "splits": dict(zip(("train", "dev", "test"), shares, strict=True)),
        }
    )
    made: dict[str | None, set[int]] = {}
    for number, each in enumerate(plan_units(recipe)):
        assert each.number == number
        assert each.stop - each.start <= unit
        indices = set(range(each.start, each.stop))
        assert not made.setdefault(each.split, set()) & indices
        made[each.split] |= indices
    assert sum(map(len, made.values())) == count

"""Draws are the same everywhere, and constants stay within their split."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.names import NAMES
from cwm_trace.datasets.pools import CLASSES, INTS, SPLIT_WORDS, WORDS, class_of

ROOT = Path(__file__).parents[2]
SPLIT = st.sampled_from(SPLITS)
KEYS = st.text(max_size=5)


def test_every_class_belongs_to_one_split() -> None:
    assert set(CLASSES) == set(SPLITS)
    assert sorted(number for classes in CLASSES.values() for number in classes) == list(range(5))


@given(st.integers(2, 400))
def test_each_block_of_five_ints_has_one_of_each_class(block: int) -> None:
    classes = {class_of(number) for number in range(block * 5, block * 5 + 5)}
    assert classes - {None} == set(range(5)) or None in classes


def test_no_last_digit_gives_a_split_away() -> None:
    for split in SPLITS:
        assert {number % 10 for number in INTS[split]} == set(range(10))


@given(st.integers() | st.floats(0.01, 1e6) | st.text())
def test_classes(value: float | str) -> None:
    assert class_of(value) in (None, 0, 1, 2, 3, 4)
    if not isinstance(value, str):
        assert class_of(value) == class_of(-value)


def test_words_are_different_and_every_split_has_many() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert min(len(words) for words in SPLIT_WORDS.values()) > 40
    shared = [
        set(SPLIT_WORDS[one]) & set(SPLIT_WORDS[other]) for one in SPLITS for other in SPLITS if one < other
    ]
    assert all(class_of(word) is None for words in shared for word in words)


@given(KEYS, SPLIT, st.integers(-99, 60), st.integers(8, 40))
def test_constants_are_of_the_split(key: str, split: str, low: int, width: int) -> None:
    draw = Draw(key, split)
    number, word, letters = draw.number(low, low + width), draw.word(), draw.letters(6)
    real = draw.real(3, 9)
    assert low <= number <= low + width
    assert 3 <= real <= 9
    for constant in (number, word, letters, real):
        assert draw.allows(constant)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("alphabet", ["ab", "01", "URDL", "abcdeixyz", "aAbBcC12 "])
def test_letters_of_few_letters(split: str, alphabet: str) -> None:
    for count in range(1, 9):
        text = Draw(f"{alphabet}{count}", split).letters(count, alphabet)
        assert set(text) <= set(alphabet)
        assert count <= len(text) <= count + 3
        assert class_of(text) in (None, *CLASSES[split])


@given(KEYS, st.lists(st.sampled_from(sorted(NAMES)), max_size=40))
def test_names_are_different(key: str, roles: list[str]) -> None:
    names = Draw(key, "train").names(*roles)
    assert len(set(names)) == len(roles)
    assert all(name.isidentifier() for name in names)


@given(KEYS, st.integers(0, 9))
def test_a_sample_has_different_members(key: str, count: int) -> None:
    sample = Draw(key, "train").sample("abcdefghi", count)
    assert len(sample) == len(set(sample)) == count


def test_draws_are_the_ones_of_the_generator_that_python_keeps() -> None:
    draw = Draw("key", "train")
    assert [draw.below(1000) for _ in range(5)] == [26, 301, 636, 530, 505]
    assert random.Random(7).random() == 0.32383276483316237


def test_generators_use_no_other_randomness() -> None:
    for path in (ROOT / "datasets").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name) and node.value.id == "random"]  # fmt: skip
        imported = [
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        ]
        assert used == (["Random"] if path.name == "drawing.py" else [])
        assert "random" not in imported or path.name == "drawing.py"

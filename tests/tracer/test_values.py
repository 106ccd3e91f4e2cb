"""Text of values: nothing a `__repr__` does gets out."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.tracer.values import Describer, is_plain, safe_repr, safe_str, take_image, type_name


class Broken:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


class Says:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), RecursionError(), GeneratorExit(), MemoryError()]
)
def test_a_repr_that_raises_becomes_text(error: BaseException) -> None:
    assert safe_repr(Broken(error)) == f"<unrepresentable Broken: {type(error).__name__}>"


def test_ctrl_c_inside_a_repr_is_the_users() -> None:
    with pytest.raises(KeyboardInterrupt):
        safe_repr(Broken(KeyboardInterrupt()))


def test_a_repr_of_two_dots_is_not_the_wires_unchanged() -> None:
    assert safe_repr(Says("..")) == "<..>"
    assert safe_repr("..") == "'..'"


def test_surrogates_become_escapes() -> None:
    text = safe_repr(Says("a\ud800b"))
    assert text == "a\\ud800b"
    text.encode()


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="no limit in this version")
def test_an_int_too_long_for_repr_is_hexadecimal() -> None:
    assert int(Describer().text(10**5000), 16) == 10**5000


def test_a_list_that_holds_itself() -> None:
    items: list[Any] = [1]
    items.append(items)
    assert safe_repr(items) == "[1, [...]]"


def test_a_value_nested_too_deeply() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert safe_repr(value) == "<unrepresentable list: RecursionError>"
    while value:  # taking it apart from the outside: freeing it at once would recurse as deeply
        value = value[0]


def test_message_of_an_exception_that_cannot_print() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert safe_str(MuteError()) == "<unprintable MuteError: ValueError>"
    assert safe_str(KeyError("a")) == "'a'"


def test_addresses_are_removed_but_not_from_strings() -> None:
    assert Describer().text(object()) == "<object object>"
    assert Describer().text(" at 0x7f") == "' at 0x7f'"
    assert " at 0x" in Describer(keep_addresses=True).text(object())


@pytest.mark.parametrize(
    ("value", "kind", "size"),
    [(5, "int", 3), (True, "bool", None), ("abc", "str", 3), ([1, 2], "list", 2), (None, "NoneType", None)],
)
def test_type_and_size(value: object, kind: str, size: int | None) -> None:
    fields = Describer().describe(value)
    assert (fields["type"], fields.get("size")) == (kind, size)


def test_types_of_modules_have_their_module() -> None:
    assert type_name(Says) == f"{__name__}.Says"
    assert type_name(dict) == "dict"


def test_clipping_is_counted() -> None:
    fields = Describer(max_chars=5).describe("a" * 100)
    assert fields["text"] == "'aaaa"
    assert fields["clipped"] == 97


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
)
containers = st.recursive(
    scalars | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=8,
)


@given(containers, containers)
def test_equal_images_of_plain_values_mean_equal_texts(one: object, other: object) -> None:
    if is_plain(repr(one)) and take_image(one) is not None and take_image(one) == take_image(other):
        assert repr(one) == repr(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], [True]),
        ([0.0], [-0.0]),
        ([b"a"], [bytearray(b"a")]),
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
        ([1], (1,)),
        ({1}, frozenset({1})),
        (["a"], [b"a"]),
        ([1], [1.0]),
    ],
)
def test_near_misses_are_told_apart(one: object, other: object) -> None:
    assert not is_plain(repr(one)) or take_image(one) != take_image(other)


def test_no_image_of_other_objects() -> None:
    assert take_image([Says("1")]) is None
    assert take_image([range(3)]) is None


def test_no_image_is_taken_of_what_contains_itself() -> None:
    """It would be followed 2,000 levels down, on each of the ways on which it contains itself."""
    pair: list[object] = [[], {}]
    pair += [pair, pair]
    tangled = {"a": [pair], "b": (pair, pair)}
    assert take_image(pair) is take_image(tangled) is None
    assert take_image({"a": [({1: [2]},)], "b": bytearray(3)}) is not None


def test_two_dots_that_appear_when_an_address_goes_are_no_unchanged_either() -> None:
    assert Describer().text(Says(".. at 0x12")) == "<..>"

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.records import Slot
from tests.traces import slots

EXACT, NORMAL, TYPED = Equality.EXACT, Equality.NORMAL, Equality.TYPED
LITERALS = st.recursive(
    st.integers()
    | st.booleans()
    | st.text(max_size=3)
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.integers(), inner),
    max_leaves=6,
)


def levels(real: str, predicted: str, kind: str = "") -> set[Equality]:
    """The levels at which two texts are equal."""
    return {level for level in Equality if slots_equal(Slot(real, kind), Slot(predicted), level)}


@pytest.mark.parametrize(
    ("real", "predicted", "equal"),
    [
        ("1", "1", {EXACT, NORMAL, TYPED}),
        ("1", "2", set()),
        ("<C object at 0x7f00>", "<C object at 0x7fff>", {NORMAL, TYPED}),
        ("<C object at 0x7f00>", "<C object>", {NORMAL, TYPED}),
        ("<str_ascii_iterator object at 0x1>", "<str_iterator object>", {NORMAL, TYPED}),
        ("[1, 2]", "[1,2]", {TYPED}),
        ("{1, 2}", "{2, 1}", {TYPED}),
        ("{'a': {1, 2}}", "{'a': {2, 1}}", {TYPED}),
        ("'a'", '"a"', {TYPED}),
        ("1.0", "1.00", {TYPED}),
        ("0.0", "-0.0", {TYPED}),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", {TYPED}),
        ("[{1: (2,)}]", "[{1: [2]}]", set()),
        ("{}", "set()", set()),
        ("[1, [2]]", "[[1], 2]", set()),
        ("['a', 'b']", "['a,b']", set()),
        ("{'a': 'b'}", "{'a:b'}", set()),
        ("\0=1", "1", set()),
        ("1", "True", set()),
        ("1", "1.0", set()),
        ("[1]", "[True]", set()),
        ("(1,)", "[1]", set()),
        ("{1: 2}", "{True: 2}", set()),
        ("{1: 2}", "{1: 2.0}", set()),
        ("{1}", "{True}", set()),
        ("{(1,)}", "{(True,)}", set()),
        ("{(1, (2,))}", "{(1, (2.0,))}", set()),
        ("{1, 2}", "{1, 2, 3}", set()),
        ("set()", "{*()}", set()),
        ("b'a'", "'a'", set()),
        ("deque([1])", "deque([1])", {EXACT, NORMAL, TYPED}),
        ("deque([1])", "deque([ 1])", set()),
        ("1", "__import__('os').getpid()", set()),
        ("", "", {EXACT, NORMAL, TYPED}),
    ],
)
def test_three_levels(real: str, predicted: str, equal: set[Equality]) -> None:
    assert levels(real, predicted) == equal


def test_strings_keep_what_looks_like_an_address() -> None:
    assert levels("'x at 0x1'", "'x'", "str") == set()
    assert levels("<x at 0x1>", "<x>", "C") == {NORMAL, TYPED}


@pytest.mark.parametrize("level", Equality)
def test_a_dangling_copy_equals_nothing(level: Equality) -> None:
    assert not slots_equal(Slot(".."), Slot(".."), level)
    assert not slots_equal(Slot("1"), Slot(".."), level)
    assert slots_equal(Slot("'..'", "str"), Slot("'..'"), level)


@pytest.mark.parametrize("level", Equality)
def test_nothing_equals_nothing_only(level: Equality) -> None:
    assert slots_equal(None, None, level)
    assert not slots_equal(None, Slot("1"), level)
    assert not slots_equal(Slot("1"), None, level)


@given(slots(), slots())
def test_each_level_is_wider_and_every_value_equals_itself(one: Slot, other: Slot) -> None:
    assert levels(one.text, one.text, one.type) == set(Equality)
    equal = levels(one.text, other.text)
    assert equal in (set(), {TYPED}, {NORMAL, TYPED}, {EXACT, NORMAL, TYPED})
    assert equal == levels(other.text, one.text)


@given(LITERALS, LITERALS)
def test_literals_of_equal_type_and_value_are_typed_equal(one: object, other: object) -> None:
    assert TYPED in levels(repr(one), " " + repr(one))
    if repr(one) != repr(other) and TYPED in levels(repr(one), repr(other)):
        assert one == other


@pytest.mark.parametrize("text", ["'\\d'", "[" * 9999, "1" * 9999, "\x00", "{[]: 1}", "'\ud800", "1 is 1"])
def test_any_prediction_is_compared_in_silence(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert levels("1", text) == set()

"""Expressions over values: what they give, and that nothing is ever run for them."""

from __future__ import annotations

import ast
import builtins
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.debug.literals import ExpressionError, Opaque, evaluate, read_literal, show_value, value_of
from cwm_trace.records import Slot

STATE = {
    "n": Slot("4", "int"),
    "xs": Slot("[1, 2, 3]", "list", 3),
    "d": Slot("{'a': 1}", "dict", 1),
    "o": Slot("<object object at 0x1>", "object"),
    "cut": Slot("[1, 2", "list", 9, 3),
    "inf": Slot("inf", "float"),
    "c": Slot("Counter({'a': 2})", "collections.Counter", 1),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n + 1", 5),
        ("xs[-1] * n", 12),
        ("xs[1:]", [2, 3]),
        ("d['a'] == 1 and n in xs", False),
        ("1 < n < 9", True),
        ("not xs or n", 4),
        ("'yes' if n > 3 else 'no'", "yes"),
        ("len(xs) + sum(xs) + max(xs)", 12),
        ("sorted({3, 1})", [1, 3]),
        ("o == o", True),
        ("len(c)", 1),
        ("len(cut)", 9),
        ("inf > 10 ** 30", True),
        ("o is None", False),
        ("str(n) + 'x'", "4x"),
        ("(n, -n, ~n)", (4, -4, -5)),
    ],
)
def test_values(text: str, value: object) -> None:
    assert evaluate(text, STATE) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("n.real", "Attribute is not offered"),
        ("__import__('os')", "__import__.. is not offered"),
        ("eval('1')", "is not offered"),
        ("[x for x in xs]", "ListComp is not offered"),
        ("(lambda: 1)()", "is not offered"),
        ("f'{n}'", "JoinedStr is not offered"),
        ("(y := 1)", "NamedExpr is not offered"),
        ("{**{1: n}}", "Dict is not offered"),
        ("nn", "no variable 'nn' here: did you mean 'n'"),
        ("n +", "is no expression"),
        ("n + 'a'", "TypeError"),
        ("1 / 0", "ZeroDivisionError"),
        ("xs[9]", "IndexError"),
        ("'a' * 10 ** 9", "at most"),
        ("[xs * 1000] * 1000", "at most"),
        ("10 ** 10 ** 10", "at most"),
        ("1 << 10 ** 9", "at most"),
        ("'%99999999d' % 1", "formatting"),
        ("len(o)", "not known"),
        ("1" * 2000, "at most 1000"),
        ("(" * 300, "."),
        ("o < 1", "TypeError"),
    ],
)
def test_what_is_not_offered_is_a_sentence(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        evaluate(text, STATE)


def test_text_that_is_no_literal_stays_text() -> None:
    assert value_of(STATE["o"]) == Opaque("<object object at 0x1>")
    assert value_of(Slot("[" * 5000)) == Opaque("[" * 5000)
    assert value_of(Slot("'\\d'")) == "\\d"
    with pytest.raises(ExpressionError, match="no literal"):
        read_literal("f(1)")


HOSTILE = [
    "__import__('os').system('touch {marker}')",
    "[open('{marker}', 'w')]",
    "(lambda: open('{marker}', 'w'))()",
    "{{1: exec('1')}}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_is_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was run")

    for name in ("eval", "exec", "__import__"):
        monkeypatch.setattr(builtins, name, refuse)
    marker = tmp_path / "marker"
    value = text.format(marker=marker)
    found = value_of(Slot(value))
    with pytest.raises(ExpressionError):
        evaluate(value, {"x": Slot(value)})
    compared = evaluate("x == 1", {"x": Slot(value)})
    monkeypatch.undo()
    assert (found, compared) == (Opaque(value), False)
    assert not marker.exists()


TEXT = st.text("aé'\"\\\n{", max_size=5)
LITERALS = st.recursive(
    st.integers() | TEXT | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner) | st.tuples(inner, inner),
    max_leaves=5,
)


@given(LITERALS)
def test_a_literal_is_its_value(value: object) -> None:
    assert value_of(Slot(repr(value))) == value
    assert evaluate("x", {"x": Slot(repr(value))}) == ast.literal_eval(repr(value))


@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_a_sentence(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        show_value(evaluate(text, STATE))

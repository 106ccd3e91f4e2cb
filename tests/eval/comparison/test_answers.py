"""Answers are right where Python says that they are equal, whatever their spelling."""

from __future__ import annotations

import ast
import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison.answers import Verdict, judge_answer, literals_equal
from cwm_trace.records import Slot

BY_HAND = [
    ("'abc'", '"abc"'),
    ("'abc'", "'''abc'''"),
    ("'abc'", "'a' 'bc'"),
    ("'abc'", "'\\x61bc'"),
    ("'abc'", "u'abc'"),
    ("'abc'", "r'abc'"),
    ("'abc'", "b'abc'"),
    ("'a\\nb'", '"""a\nb"""'),
    ("{1: 1, 2: 4}", "{1:1, 2:4}"),
    ("{1: 1, 2: 4}", "{2: 4, 1: 1}"),
    ("{1: 1}", "{1: True}"),
    ("{1: 1}", "{1.0: 1}"),
    ("[1, 2]", "[1,2,]"),
    ("[1, 2]", "(1, 2)"),
    ("(1, 2)", "1, 2"),
    ("(1,)", "(1)"),
    ("(1,)", "1,"),
    ("{1, 2}", "{2, 1, 1}"),
    ("{1, 2}", "[1, 2]"),
    ("set()", "set( )"),
    ("set()", "{}"),
    ("1", "True"),
    ("0", "False"),
    ("0", "None"),
    ("1", "1.0"),
    ("1", "0x1"),
    ("1000", "1_000"),
    ("10", "1e1"),
    ("0.0", "-0.0"),
    ("0.1", ".1"),
    ("0.30000000000000004", "0.3"),
    ("-1", "- 1"),
    ("1", "(((1)))"),
    ("1", " 1 "),
    ("1", "\n1\n"),
    ("1", "1 # one"),
    ("1", "1+0j"),
    ("True", "true"),
    ("''", '""'),
    ("b''", "''"),
    ("'é'", "'e\u0301'"),
    ("'\\t'", "'\t'"),
    ("[[], {}]", "[[], set()]"),
    ("...", "Ellipsis"),
]
"""Real values, and answers."""


def python_says(real: str, said: str) -> bool | None:
    """What `==` makes of two literals; None if one is none."""
    try:
        return bool(ast.literal_eval(real.strip()) == ast.literal_eval(said.strip()))
    except (ValueError, SyntaxError, TypeError):
        return None


def expected(real: str, said: str) -> str:
    if not said.strip():
        return "missing"
    equal = python_says(real, said)
    if equal is None:
        return "right" if real == said else "no-literal"
    return "right" if equal else "wrong"


@pytest.mark.parametrize(("real", "said"), BY_HAND)
def test_spellings_by_hand(real: str, said: str) -> None:
    assert judge_answer(Slot(real), Slot(said)).value == expected(real, said)


def spellings(value: Any, draw: random.Random) -> Iterator[str]:
    """The same value, or one that is equal, or nearly, as models write them."""
    text = repr(value)
    yield text
    with suppress(TypeError):  # a key that JSON has not
        yield json.dumps(value, default=repr)
    yield text.replace("'", '"')
    yield text.replace(", ", ",").replace(": ", ":")
    yield f"({text})"
    yield f"  {text}\n"
    yield f"{text}  # the answer"
    yield text.replace("[", "(").replace("]", ")")
    yield text.replace("True", "1").replace("False", "0")
    if isinstance(value, dict):
        items = [*value.items()]
        draw.shuffle(items)
        yield repr(dict(items))
        yield repr(items)
    if isinstance(value, int):
        yield repr(float(value))
        yield hex(value)
    if isinstance(value, list):
        yield repr(tuple(value))
        yield repr([*reversed(value)])
        yield text[:-1] + (",]" if value else "]")
    if isinstance(value, str):
        yield f'"""{value}"""'
        yield "".join(f"\\u{ord(char):04x}" for char in value).join("''")
        yield value


def check(values: list[str]) -> int:
    count = 0
    for number, real in enumerate(values):
        for said in dict.fromkeys(spellings(ast.literal_eval(real), random.Random(number))):
            assert judge_answer(Slot(real), Slot(said)).value == expected(real, said), (real, said)
            count += 1
    return count


def test_every_spelling_of_cruxevals_answers() -> None:
    """With the published file 200 programs, without it their kinds of values: more than 400 answers."""
    path = Path(os.environ.get("CWM_TRACE_CRUXEVAL", "cruxeval.jsonl"))
    if path.is_file():
        values = [json.loads(line)["output"] for line in path.read_text("utf-8").splitlines()]
    else:
        values = [
            *("'abc'", "''", "'it\\'s'", '"a\\\\nb"', "'\\n'", "' x '", "'ab\"c'", "'é☃'", "'123'", "'True'"),
            *("0", "1", "-7", "12345678901234567890", "3.5", "-0.0", "1e+20", "True", "False", "None"),
            *(
                "[]",
                "[1]",
                "[1, 2, 3]",
                "[[1], [2, 3]]",
                "['a', 'b']",
                "[True, None]",
                "[(1, 'a'), (2, 'b')]",
            ),
            *("()", "(1,)", "(1, 2)", "('a', ['b'])", "{}", "{1: 1, 2: 4}", "{'a': [1, 2], 'b': {}}"),
            *("{'x': True, 'y': None}", "{1, 2}", "{'a'}", "b'ab'", "[{'a': 1}, {'b': 2}]", "{(1, 2): 'c'}"),
            *(
                "['it\\'s', \"q\"]",
                "[0.1, 0.2]",
                "{3: 'c', 1: 'a', 2: 'b'}",
                "[-1, -2]",
                "{'k': {'l': {1: 2}}}",
            ),
        ]
    values += [f"[{value}]" for value in values]
    assert check(values) > 400


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
LITERALS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(LEAVES, inner, max_size=3),
)


@given(LITERALS, LITERALS)
def test_literals_are_equal_where_python_says_so(one: object, other: object) -> None:
    assert literals_equal(repr(one), repr(other)) is (one == other)


def test_what_is_no_literal_is_neither_right_nor_wrong() -> None:
    for real, said in [("'aaa'", "'a' * 3"), ("{1, 2}", "set([1, 2])"), ("3", "1 + 2"), ("3", "three")]:
        assert judge_answer(Slot(real), Slot(said)) is Verdict.NO_LITERAL
    assert (
        judge_answer(Slot("Counter({'a': 1})", "collections.Counter"), Slot("{'a': 1}")) is Verdict.NO_LITERAL
    )
    same = "Counter({'a': 1})"
    assert judge_answer(Slot(same, "collections.Counter"), Slot(same)) is Verdict.RIGHT
    deep = "[" * 3000 + "]" * 3000
    assert judge_answer(Slot("1"), Slot(deep)) is Verdict.NO_LITERAL


def test_no_answer_is_missing_and_a_cut_one_is_not_judged() -> None:
    assert judge_answer(Slot("1"), None) is Verdict.MISSING
    assert judge_answer(Slot("''"), Slot("")) is Verdict.MISSING
    assert judge_answer(Slot("1"), Slot("..")) is Verdict.WRONG
    assert judge_answer(Slot("123", "int", clipped=4), Slot("1_23")) is Verdict.NO_LITERAL


@pytest.mark.parametrize("said", ["1/0", "__import__('os').abort()", "[x for x in (1,)]", "f(1)"])
def test_nothing_is_executed(said: str) -> None:
    assert judge_answer(Slot("1"), Slot(said)) is Verdict.NO_LITERAL

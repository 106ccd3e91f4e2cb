"""Whether an answer is right where a benchmark compares by `==`, as CRUXEval, LiveCodeBench and HumanEval do.

Both texts are read as literals and compared as Python compares them: `"abc"` is `'abc'`, `1` is `True` and
`1.0`, sets and dicts have no order. Nothing is executed. What is no literal is neither right nor wrong here.
"""

from __future__ import annotations

import ast
import enum
import functools
import warnings
from typing import Any

from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.records import UNCHANGED, Slot


class Verdict(str, enum.Enum):
    """What an answer is."""

    RIGHT = "right"
    WRONG = "wrong"
    NO_LITERAL = "no-literal"
    """It, or the real value, is no literal, and the texts differ: only running it could tell."""
    MISSING = "missing"
    """There is none: the entry does not return."""


def judge_answer(real: Slot, said: Slot | None) -> Verdict:
    """What an answer is worth.

    Args:
        real: the value that the entry really returns.
        said: the one that is predicted; None: there is none.

    >>> judge_answer(Slot("{1: 1, 2: 4}"), Slot("{2:4, 1:True}")).value
    'right'
    >>> judge_answer(Slot("'aa'"), Slot("'a' * 2")).value
    'no-literal'
    """
    if said is None or not said.text.strip():
        return Verdict.MISSING
    if said.text == UNCHANGED:
        return Verdict.WRONG
    if slots_equal(real, said, Equality.NORMAL):
        return Verdict.RIGHT
    if real.clipped or said.clipped:
        return Verdict.NO_LITERAL
    equal = literals_equal(real.text, said.text)
    if equal is None:
        return Verdict.NO_LITERAL
    return Verdict.RIGHT if equal else Verdict.WRONG


def literals_equal(one: str, other: str) -> bool | None:
    """Whether two literals are equal by `==`; None if one of the texts is none.

    >>> literals_equal("1", "True"), literals_equal("[1]", "(1,)"), literals_equal("x", "1")
    (True, False, None)
    """
    first, second = read_literal(one), read_literal(other)
    if first is NO_LITERAL or second is NO_LITERAL:
        return None
    try:
        return bool(first == second)
    except RecursionError:
        return None


NO_LITERAL: Any = object()
"""What `read_literal` gives for a text that is none; no value is it."""


@functools.lru_cache(maxsize=1 << 12)
def read_literal(text: str) -> Any:
    """The value of a literal, or `NO_LITERAL`; not to be changed, since it is kept for the next caller."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as those about invalid escapes
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return NO_LITERAL

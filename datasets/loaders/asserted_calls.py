"""Calls out of tests: in `assert f(1) == 2` the call is `f(1)`, and what it should give is `2`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple


class CheckedCall(NamedTuple):
    """A call as source text, and `repr` of its result where the test states a literal."""

    call: str
    expected: str | None


def find_calls(test: str, function: str, *, alias: str | None = None) -> Iterator[CheckedCall]:
    """The calls of a function in the assertions of a test, in their order, without repetitions.

    Only calls with literal arguments, which mean the same anywhere.

    Args:
        test: source text.
        function: name of what is tested.
        alias: what the test calls it.
    """
    seen = set()
    for node in ast.walk(ast.parse(test)):
        if not isinstance(node, ast.Assert):
            continue
        for call in ast.walk(node.test):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            if call.func.id not in (function, alias) or not _is_literal_call(call):
                continue
            text = ast.unparse(ast.Call(ast.Name(function), call.args, call.keywords))
            if text not in seen:
                seen.add(text)
                yield CheckedCall(text, _expectation(node.test, call))


def _is_literal_call(call: ast.Call) -> bool:
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return all(map(_is_literal, arguments)) and all(keyword.arg for keyword in call.keywords)


def _is_literal(node: ast.AST) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _expectation(test: ast.expr, call: ast.Call) -> str | None:
    """`repr` of the literal that the call is compared with by `==`.

    None for what `==` takes for equal and `repr` does not: numbers of either kind, sets, and what contains
    them.
    """
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]) if left is call:
            value = ast.literal_eval(right) if _is_literal(right) else _NOTHING
        case _:
            return None
    return repr(value) if _is_exact(value) else None


_NOTHING = object()


def _is_exact(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_exact, value))
    return value is None or isinstance(value, str | bytes)

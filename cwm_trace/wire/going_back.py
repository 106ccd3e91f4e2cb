"""Where a program goes back in its text: from a loop's body to its head, from a `def` to its decorators.

The wire has no line numbers, and texts repeat: two loops of a function may begin alike.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping

_HEADED = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_DECORATED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*_DECORATED, ast.Lambda)

_NOWHERE: Mapping[int, tuple[int, ...]] = {}


@functools.lru_cache(maxsize=64)
def find_ways_back(text: str) -> Mapping[int, tuple[int, ...]]:
    r"""By line the lines before it that may run next, the likeliest first; none if Python cannot read it.

    From a body these are the heads of the loops around it, and of `with`, whose exit is on that line; a
    `break` leaves the innermost loop. From a decorated `def` or `class` its decorators, which are applied
    from the last to the first.

    >>> find_ways_back("for i in x:\n    a()\n    break\nb()\n")
    {2: (1,)}
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _NOWHERE
    found: dict[int, tuple[int, ...]] = {}
    todo: list[tuple[ast.AST, tuple[tuple[int, bool], ...]]] = [(tree, ())]
    while todo:
        node, heads = todo.pop()
        if isinstance(node, ast.stmt):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            around = _around_break(heads) if isinstance(node, ast.Break) else heads
            back = tuple(head for head, _ in reversed(around) if head < node.lineno)
            for line in lines:
                found[line] = back  # a statement within it comes later and knows better
        if isinstance(node, _DECORATED) and node.decorator_list:
            places = [decorator.lineno for decorator in node.decorator_list]
            for at, line in enumerate([*places, node.lineno]):
                found[line] = (*reversed(places[:at]), *found.get(line, ()))
        todo += _parts(node, () if isinstance(node, _SCOPES) else heads)
    return {line: back for line, back in found.items() if back}


def _parts(
    node: ast.AST, heads: tuple[tuple[int, bool], ...]
) -> Iterator[tuple[ast.AST, tuple[tuple[int, bool], ...]]]:
    if not isinstance(node, _HEADED):
        yield from ((part, heads) for part in ast.iter_child_nodes(node))
        return
    inside = (*heads, (node.lineno, isinstance(node, _LOOPS)))
    yield from ((part, inside) for part in node.body)
    yield from ((part, heads) for part in getattr(node, "orelse", []))


def _around_break(heads: tuple[tuple[int, bool], ...]) -> tuple[tuple[int, bool], ...]:
    """The heads that are left when the innermost loop is."""
    loops = [at for at, (_, is_loop) in enumerate(heads) if is_loop]
    return heads[: loops[-1]] if loops else heads

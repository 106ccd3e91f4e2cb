"""Twins: rewrites of a program that keep its meaning, so that the two outputs must be predicted alike.

A twin is text that was edited, never a tree that was printed again: nothing else of the program changes, and
the result is the same on every Python version.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.renaming import rename
from cwm_trace.errors import CwmTraceError

_COMMENTS = ("next one", "keep going", "step", "see above", "nothing special here", "as before", "then this")
_MOST_COPIES = 8  # of a loop's body


def make_twin(item: Item, kind: str, *, seed: int = 0) -> Item | None:
    """A rewrite of an item whose call gives an equal value.

    Args:
        item: a program with a call.
        kind: `rename` (local variables), `flatten` (a nested expression into temporaries), `split` (a line
            into several, within brackets), `comment` (comments and blank lines between statements) or
            `unroll` (a loop over constants).
        seed: of what is drawn.

    Returns:
        The twin; None where the program has nothing of that kind to rewrite.

    Raises:
        CwmTraceError: no such kind, or the item's source cannot be parsed.
    """
    if kind not in TWINS:
        raise CwmTraceError(f"there is no kind of twin {kind!r}: choose one of {', '.join(TWINS)}")
    try:
        tree = ast.parse(item.source)
    except SyntaxError as error:
        raise CwmTraceError(f"the source of item {item.id} cannot be parsed: {error.msg}") from error
    rewritten = TWINS[kind](item.source, tree, Draw(f"{item.id}|{kind}|{seed}", item.split))
    if rewritten is None:
        return None
    source, factor = rewritten
    compile(source, item.id, "exec", dont_inherit=True)
    twin = f"{item.id}~{kind}" + (f"~{seed}" if seed else "")
    lines = None if item.max_lines is None else item.max_lines * factor
    return replace(item, id=twin, source=source, max_lines=lines, twin_of=item.id)


Rewritten = tuple[str, int] | None
"""The new text, and how many times as many line events it may take."""


def _add_comments(source: str, tree: ast.Module, draw: Draw) -> Rewritten:
    """Put a comment or a blank line before some statements."""
    lines = source.split("\n")
    starts = sorted({node.lineno for node, _ in _statements(tree)})
    chosen = [line for line in starts if draw.chance(0.35)] or starts[-1:]
    for line in reversed(chosen):
        indent = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
        lines.insert(line - 1, "" if draw.chance(0.25) else f"{indent}# {draw.pick(_COMMENTS)}")
    return "\n".join(lines), 1


def _split_lines(source: str, tree: ast.Module, draw: Draw) -> Rewritten:
    """Give each element of a call or display a line of its own, in one place of some statements."""
    lines = source.split("\n")
    most = 0
    for node, _ in reversed(list(_statements(tree))):
        header = _header(node)
        places = [found for part in header for found in _brackets(part, lines)]
        if not places or draw.chance(0.3):
            continue
        line, start, end, elements = draw.pick(places)
        text = lines[line - 1]
        indent = text[: len(text) - len(text.lstrip())]
        inner = [f"{indent}    {text[first:last]}," for first, last in elements]
        lines[line - 1 : line] = [text[: start + 1], *inner, indent + text[end - 1 :]]
        most = max(most, len(elements))
    return ("\n".join(lines), 2 * most + 2) if most else None


def flatten(source: str, tree: ast.Module, draw: Draw) -> Rewritten:
    """Give what a statement evaluates first a name and a line of its own."""
    lines = source.split("\n")
    used = set(re.findall(r"\w+", source))
    fresh = (name for number in range(1000) for name in (f"tmp{number or ''}",) if name not in used)
    changed = False
    for node, inside in reversed(list(_statements(tree))):
        value = _first_evaluated(node)
        on_one_line = node.lineno == node.end_lineno or isinstance(node, ast.For)
        if value is None or not inside or not on_one_line:
            continue
        text = lines[node.lineno - 1]
        indent = text[: node.col_offset]
        if indent.strip() or not text.isascii():
            continue
        candidates = [part for part in _leftmost(value) if part.lineno == part.end_lineno == node.lineno]
        if not candidates:
            continue
        part = draw.pick(candidates)
        temporary = next(fresh)
        segment = text[part.col_offset : part.end_col_offset]
        rest = text[: part.col_offset] + temporary + text[part.end_col_offset :]
        lines[node.lineno - 1 : node.lineno] = [f"{indent}{temporary} = {segment}", rest]
        changed = True
    return ("\n".join(lines), 2) if changed else None


def unroll(source: str, tree: ast.Module, draw: Draw) -> Rewritten:
    """Write the body of a loop over constants once for each of them."""
    loops = [
        node for node, inside in _statements(tree) if inside and isinstance(node, ast.For) and _values(node)
    ]
    if not loops:
        return None
    loop = draw.pick(loops)
    lines = source.split("\n")
    first, last = loop.body[0].lineno, loop.body[-1].end_lineno or 0
    shift = loop.body[0].col_offset - loop.col_offset
    body = [line[shift:] for line in lines[first - 1 : last]]
    assert isinstance(loop.target, ast.Name)
    copies = [
        line
        for value in _values(loop)
        for line in (f"{' ' * loop.col_offset}{loop.target.id} = {value}", *body)
    ]
    lines[loop.lineno - 1 : last] = copies
    return "\n".join(lines), 1


TWINS: dict[str, Callable[[str, ast.Module, Draw], Rewritten]] = {
    "rename": rename,
    "flatten": flatten,
    "split": _split_lines,
    "comment": _add_comments,
    "unroll": unroll,
}
"""Kinds of twins."""


def _statements(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement in the order of the text, and whether it is in a function, not in a class there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child, inside
        within = isinstance(child, ast.FunctionDef) or (inside and not isinstance(child, ast.ClassDef))
        yield from _statements(child, within)


def _header(node: ast.stmt) -> list[ast.expr]:
    """The expressions of a statement, without those of the statements inside it."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return []
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


Place = tuple[int, int, int, list[tuple[int, int]]]


def _brackets(node: ast.AST, lines: list[str]) -> Iterator[Place]:
    """Calls and displays of two to four elements on one line: line, span, and spans of the elements."""
    if isinstance(node, ast.JoinedStr):  # its positions are right only since Python 3.12
        return
    if isinstance(node, ast.Call):
        elements: list[ast.expr] = [*node.args, *[keyword.value for keyword in node.keywords]]
        start = node.func.end_col_offset
        if node.keywords:
            elements = []
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        elements, start = node.elts, node.col_offset
    else:
        elements, start = [], None
    if 2 <= len(elements) <= 4 and start is not None and isinstance(node, ast.expr):
        text, end = lines[node.lineno - 1], node.end_col_offset or 0
        opened = (
            node.lineno == node.end_lineno and text.isascii() and text[start : start + 1] in ("(", "[", "{")
        )
        if opened and not isinstance(getattr(node, "ctx", None), ast.Store):
            cuts = [start, *[_comma(text, element.end_col_offset or 0) for element in elements[:-1]], end - 1]
            spans = [(b - len(text[a + 1 : b].lstrip()), b) for a, b in pairwise(cuts)]
            yield node.lineno, start, end, spans
    for child in ast.iter_child_nodes(node):
        yield from _brackets(child, lines)


def _comma(text: str, after: int) -> int:
    return text.index(",", after)


def _first_evaluated(node: ast.stmt) -> ast.expr | None:
    """The expression that a statement evaluates first, if it evaluates it once."""
    if isinstance(node, ast.Assign | ast.Return | ast.Expr):
        return node.value
    if isinstance(node, ast.For):
        return node.iter
    return None


_FIRST = {ast.BinOp: "left", ast.Compare: "left", ast.Subscript: "value", ast.Attribute: "value"}
_WORTH = (ast.Call, ast.BinOp, ast.Subscript, ast.Compare)


def _leftmost(node: ast.expr) -> Iterator[ast.expr]:
    """What is evaluated before the rest of an expression, from the outside in; a function's name apart."""
    while True:
        if type(node) in _FIRST:
            node = getattr(node, _FIRST[type(node)])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            node = node.args[0]
        elif isinstance(node, ast.Tuple | ast.List) and node.elts:
            node = node.elts[0]
        else:
            return
        if isinstance(node, _WORTH) and not any(
            isinstance(part, ast.NamedExpr | ast.Yield) for part in ast.walk(node)
        ):
            yield node


def _values(loop: ast.For) -> list[str]:
    """The constants that a loop goes over, as text; empty if it cannot be unrolled."""
    jumps = (ast.Break, ast.Continue)
    if (
        not isinstance(loop.target, ast.Name)
        or loop.orelse
        or any(isinstance(n, jumps) for n in ast.walk(loop))
    ):
        return []
    if any(isinstance(n, ast.Constant | ast.JoinedStr) and n.lineno != n.end_lineno for n in ast.walk(loop)):
        return []  # a text over several lines must keep its indentation
    if loop.body[0].lineno == loop.lineno or loop.lineno != loop.iter.end_lineno:
        return []
    values: list[object] = []
    over = loop.iter
    if isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "range":
        if over.args and all(isinstance(a, ast.Constant) and isinstance(a.value, int) for a in over.args):
            bounds = [a.value for a in over.args if isinstance(a, ast.Constant) and isinstance(a.value, int)]
            values = list(range(*bounds)) if len(bounds) < 3 or bounds[2] else []
    elif isinstance(over, ast.Tuple | ast.List) and all(isinstance(e, ast.Constant) for e in over.elts):
        values = [e.value for e in over.elts if isinstance(e, ast.Constant)]
    elif isinstance(over, ast.Constant) and isinstance(over.value, str):
        values = list(over.value)
    return [repr(value) for value in values] if len(values) <= _MOST_COPIES else []

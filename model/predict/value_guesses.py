"""What a simple statement does to variables whose values are literals, worked out from their texts.

Nothing of the program runs: a statement of one line is read, and its arithmetic done on copies, as long as
everything in it is a built-in value that stays small. What is found is a guess for a draft, which a model
confirms or not: that a name was given to another function, or that two names are one list, is not known here.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping
from typing import Any

from cwm_trace.expressions import ARITHMETIC, Evaluator

LONGEST = 256
"""Items or characters of the values that are worked with."""
_BITS = 256
_PROBLEMS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


class _UnknownError(ValueError):
    """The statement says more than can be worked out here."""


def find_changes(source: str, texts: Mapping[str, str]) -> dict[str, str] | None:
    """What a line changes, and to what; None if that is not known.

    Args:
        source: the line that ran.
        texts: the variables before it, by their `repr`.

    >>> find_changes("    total += len(xs) * 2", {"total": "1", "xs": "[4, 5]"})
    {'total': '5'}
    >>> find_changes("for x in xs:", {"xs": "[4, 5]", "x": "4"})
    {'x': '5'}
    >>> find_changes("x = f(1)", {}) is None
    True
    """
    statement = _parse(source)
    if statement is None:
        return None
    values = _Values(texts)
    try:
        values.run(statement)
        return values.changes()
    except _PROBLEMS:
        return None


def find_returned(source: str, texts: Mapping[str, str]) -> str | None:
    """The `repr` of what a line returns; None if that is not known.

    >>> find_returned("    return sorted(xs)[0]", {"xs": "[5, 4]"})
    '4'
    """
    statement = _parse(source)
    if not isinstance(statement, ast.Return):
        return None
    try:
        return "None" if statement.value is None else repr(_Values(texts).find(statement.value))
    except _PROBLEMS:
        return None


@functools.lru_cache(maxsize=1024)
def _parse(source: str) -> ast.stmt | None:
    text = source.strip()
    text = text.removeprefix("el") if text.startswith("elif ") else text
    try:
        (statement,) = ast.parse(f"{text} pass" if text.endswith(":") else text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return statement


class _Values(Evaluator):
    """Variables, read when they are asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._known: dict[str, Any] = {}

    def changes(self) -> dict[str, str]:
        """Texts that are not what they were."""
        now = {name: repr(value) for name, value in self._known.items()}
        return {name: text for name, text in now.items() if text != self._texts.get(name)}

    def run(self, statement: ast.stmt) -> None:
        """Do what a statement does."""
        match statement:
            case ast.Assign(targets=targets, value=value):
                found = self.find(value)
                for target in targets:
                    self._bind(target, found)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind(target, self.find(value))
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                self._bind(target, self.combine(op, self.find_name(name), self.find(value)))
            case ast.AugAssign(target=ast.Subscript(value=of, slice=index) as target, op=op, value=value):
                before = self.find(of)[self.find(index)]
                self._bind(target, self.combine(op, before, self.find(value)))
            case ast.Delete(targets=[ast.Subscript(value=of, slice=index)]):
                del self.find(of)[self.find(index)]
            case ast.For(target=target, iter=iterable):
                self._go_on(target, self.find(iterable))
            case ast.Expr(value=value) | ast.If(test=value) | ast.While(test=value) | ast.Assert(test=value):
                self.find(value)
            case ast.Pass() | ast.Break() | ast.Continue() | ast.Return():
                pass
            case _:
                raise _UnknownError

    def find_name(self, name: str) -> Any:
        """The value of a variable, read once."""
        if name not in self._known:
            self._known[name] = _check(ast.literal_eval(self._texts[name]))
        return self._known[name]

    def find_other(self, node: ast.expr) -> Any:
        """What a function, or a method of a built-in value, gives."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name not in self._texts:
                return _check(_FUNCTIONS[name](*map(self.find, arguments)))
            case ast.Call(func=ast.Attribute(value=of, attr=name), args=arguments, keywords=[]):
                one = self.find(of)
                if name not in _METHODS.get(type(one), ()):
                    raise _UnknownError
                return _check(getattr(one, name)(*map(self.find, arguments)))
        raise _UnknownError

    def apply(self, op: ast.unaryop, value: Any) -> Any:
        """`not` and `-`."""
        match op:
            case ast.Not():
                return not value
            case ast.USub():
                return -value
        raise _UnknownError

    def combine(self, op: ast.operator, left: Any, right: Any) -> Any:
        """What stays small."""
        if isinstance(op, ast.Mult):
            sizes = [value.bit_length() if type(value) is int else 0 for value in (left, right)]
            lengths = [len(value) for value in (left, right) if hasattr(value, "__len__")]
            times = [value for value in (left, right) if type(value) is int]
            if sum(sizes) > _BITS or any(length * max(1, *times, 1) > LONGEST for length in lengths):
                raise _UnknownError
        if isinstance(op, ast.Mod) and isinstance(left, str | bytes):  # `%` writes out widths of any size
            raise _UnknownError
        return _check(ARITHMETIC[type(op)](left, right))

    def _bind(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(id=name):
                self._known[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part, one in zip(parts, value, strict=True):
                    self._bind(part, one)
            case ast.Subscript(value=of, slice=index) if not isinstance(index, ast.Slice):
                self.find(of)[self.find(index)] = value
            case _:
                raise _UnknownError

    def _go_on(self, target: ast.expr, iterable: Any) -> None:
        """Bind what a loop takes next: what comes behind its last value, if that stands there once."""
        items = list(iterable)
        names = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
        at = 0
        if all(name in self._texts for name in names):
            last = self.find(target)
            places = [place for place, item in enumerate(items) if item == last]
            if len(places) != 1:
                raise _UnknownError
            at = places[0] + 1
        if at < len(items):
            self._bind(target, items[at])


def _check(value: Any) -> Any:
    """The value, if it is small."""
    if type(value) is int and value.bit_length() > _BITS:
        raise _UnknownError
    if hasattr(value, "__len__") and len(value) > LONGEST:
        raise _UnknownError
    return value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{one.__name__: one for one in (len, abs, min, max, int, str, bool, float, list, tuple, set, dict)},
    **{one.__name__: one for one in (sum, sorted, any, all, ord, chr, divmod, round)},
    "range": lambda *ends: _check(range(*ends)),
    "enumerate": lambda *given: list(enumerate(*given)),
    "zip": lambda *given: list(zip(*given, strict=False)),
    "reversed": lambda given: list(reversed(given)),
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_METHODS: dict[type, frozenset[str]] = {
    list: _words("append extend insert pop remove reverse sort copy count index clear"),
    dict: _words("get pop setdefault update keys values items copy clear"),
    set: _words("add discard remove union intersection difference copy clear"),
    tuple: _words("count index"),
    str: _words(
        "upper lower title strip lstrip rstrip split join startswith endswith count find index isdigit"
        " isalpha isupper islower replace capitalize swapcase"
    ),
}

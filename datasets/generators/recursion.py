"""Recursion: functions that call themselves or each other, down a number, a list, a tree or nested lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_LINEAR = (
    "{f}(n - 1) + {a}",
    "n + {f}(n - 1)",
    "n * {a} - {f}(n - 1)",
    "({f}(n - 1) * {a} + n) % {m}",
    "max(n % {m}, {f}(n - 1))",
    "{f}(n - 1) ^ n",
)
_LISTS = (
    "{x}[0] + {f}({x}[1:])",
    "[{x}[0] * {a}] + {f}({x}[1:])",
    "{f}({x}[1:]) + [{x}[0]]",
    "max({x}[0], {f}({x}[1:]))",
    "{f}({x}[1:]) + ({x}[0] > {m})",
    "([{x}[0]] if {x}[0] % 2 else []) + {f}({x}[1:])",
)
_TREES = ("{f}(n - 1) + {f}(n - 2)", "{f}(n // 2) + {f}(n - 1) % {m}", "{f}(n - 2) * {a} - {f}(n // 2)")
FOLDS = (("0", "{t} += {g}({v})", "{t} += {v}"), ("[]", "{t} += {g}({v})", "{t}.append({v} + {a})"),
         ("0", "{t} = max({t}, {g}({v}) + 1)", "{t} = max({t}, {v} % {m})"))  # fmt: skip


NUMBER = """\
def {f}({n}):
    if {n} <= 0:
        return {base}
{extra}    return {form}


def f({n}):
    return {f}({n}) + {last}
"""
_EXTRA = "    if {n} % {k} == 0:\n        return {f}({n} - 1)\n"
_LIST = """\
def f({x}):
    if not {x}:
        return {empty}
    return {form}
"""
_MUTUAL = """\
def {f}(n, acc):
    if n <= 0:
        return acc
    return {g}(n - 1, acc {sign} {a})


def {g}(n, acc):
    if n <= 0:
        return -acc
    return {f}(n - {k}, acc * 2 - {b})


def f(n):
    return {f}(n, {base})
"""
_TREE = """\
def f(n):
    if n < 2:
        return n + {base}
    return {form}
"""
_MEMO = """\
def f(n, memo):
    if n in memo:
        return memo[n]
    if n < 2:
        return n + {base}
    memo[n] = {form}
    return memo[n]
"""
NESTED = """\
def f({x}):
    {t} = {empty}
    for {v} in {x}:
        if isinstance({v}, list):
            {inner}
        else:
            {leaf}
    return {t}
"""


def _draw_recursion(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the recursive step of the kind that is asked for."""
    return _KINDS[knobs["kind"]](draw, knobs["depth"], {"a": draw.number(1, 9), "m": draw.number(7, 40)})


def _number(draw: Draw, depth: int, numbers: dict[str, int]) -> Draft:
    (step,) = draw.names("function")
    n = draw.pick(("n", "k", "level", "m"))
    form = draw.pick(_LINEAR).replace("n", "{n}").format(f=step, n=n, **numbers)
    extra = _EXTRA.format(n=n, f=step, k=draw.between(2, 3)) if draw.chance(0.4) else ""
    fill = {"base": draw.number(0, 9), "last": draw.number(1, 30)}
    return Draft(NUMBER.format(f=step, n=n, form=form, extra=extra, **fill), f"f({depth})", 9 + 4 * depth)


def _list(draw: Draw, depth: int, numbers: dict[str, int]) -> Draft:
    (name,) = draw.names("list")
    form = draw.pick(_LISTS)
    empty = "[]" if "[{x}[0]" in form else draw.pick(("0", "0", str(draw.number(1, 9))))
    source = _LIST.format(x=name, empty=empty, form=form.format(f="f", x=name, **numbers))
    return Draft(source, f"f({draw.numbers(depth, -9, 40)})", 6 + 3 * depth)


def _mutual(draw: Draw, depth: int, numbers: dict[str, int]) -> Draft:
    one, two = draw.names("function", "function")
    fill = {
        "sign": draw.pick("+-"),
        "k": draw.between(1, 2),
        "b": draw.number(1, 9),
        "base": draw.number(0, 9),
    }
    return Draft(_MUTUAL.format(f=one, g=two, a=numbers["a"], **fill), f"f({depth})", 9 + 3 * depth)


def _tree(draw: Draw, depth: int, numbers: dict[str, int]) -> Draft:
    form, base, size = draw.pick(_TREES), draw.below(5), min(depth, 7)
    calls = [1, 1]  # of f(n), by n
    for n in range(2, size + 1):
        calls.append(1 + calls[n // 2] + calls[n - 1] if "//" in form else 1 + calls[n - 1] + calls[n - 2])
    step = form.format(f="f", **numbers)
    if draw.chance(0.3):
        source = _MEMO.format(base=base, form=step.replace(")", ", memo)"))
        return Draft(source, f"f({size}, {{}})", 3 + 5 * calls[size])
    return Draft(_TREE.format(base=base, form=step), f"f({size})", 3 + 3 * calls[size])


def _nested(draw: Draw, depth: int, numbers: dict[str, int]) -> Draft:
    name, total, item = draw.names("list", "total", "item")
    empty, inner, leaf = draw.pick(FOLDS)
    nested: list[Any] = [draw.number(0, 30)]
    for _ in range(depth):
        nested = [nested, draw.number(0, 30)] if draw.chance(0.5) else [draw.number(0, 30), nested]
    fill = {"t": total, "v": item, "g": "f", **numbers}
    parts = {"inner": inner.format(**fill), "leaf": leaf.format(**fill)}
    source = NESTED.format(x=name, t=total, v=item, empty=empty, **parts)
    return Draft(source, f"f({nested})", 15 + 12 * depth)


_KINDS = {"number": _number, "list": _list, "mutual": _mutual, "tree": _tree, "nested": _nested}

RECURSION = Family(
    "recursion",
    "functions that call themselves or each other",
    {
        "kind": Axis("what the recursion goes down", "number", choices=tuple(_KINDS)),
        "depth": Axis("levels; the number 7 at the most for a tree", 5, 1, 60),
    },
    _draw_recursion,
)

"""Recursion: functions that call themselves or each other, down a number, a list, a tree or nested lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

LINEAR = (
    "{f}(n - 1) + {a}",
    "n + {f}(n - 1)",
    "n * {a} - {f}(n - 1)",
    "({f}(n - 1) * {a} + n) % {m}",
    "max(n % {m}, {f}(n - 1))",
    "{f}(n - 1) ^ n",
)
LISTS = (
    "{x}[0] + {f}({x}[1:])",
    "[{x}[0] * {a}] + {f}({x}[1:])",
    "{f}({x}[1:]) + [{x}[0]]",
    "max({x}[0], {f}({x}[1:]))",
    "{f}({x}[1:]) + ({x}[0] > {m})",
    "([{x}[0]] if {x}[0] % 2 else []) + {f}({x}[1:])",
)
TREES = ("{f}(n - 1) + {f}(n - 2)", "{f}(n // 2) + {f}(n - 1) % {m}", "{f}(n - 2) * {a} - {f}(n // 2)")
FOLDS = (("0", "{t} += {g}({v})", "{t} += {v}"), ("[]", "{t} += {g}({v})", "{t}.append({v} + {a})"),
         ("0", "{t} = max({t}, {g}({v}) + 1)", "{t} = max({t}, {v} % {m})"))  # fmt: skip


def draw_recursion(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the recursive step of the kind that is asked for."""
    depth = knobs["depth"]
    step, other = draw.names("function", "function")
    numbers = {"a": draw.number(1, 9), "m": draw.number(7, 40)}
    return _KINDS[knobs["kind"]](draw, depth, (step, other), numbers)


def _linear(draw: Draw, depth: int, names: tuple[str, str], numbers: dict[str, int]) -> Draft:
    step, n = names[0], draw.pick(("n", "k", "level", "m"))
    form = draw.pick(LINEAR).replace("n", "{n}").format(f=step, n=n, **numbers)
    base = draw.number(0, 9)
    if draw.chance(0.4):
        extra = f"    if {n} % {draw.between(2, 3)} == 0:\n        return {step}({n} - 1)\n"
    else:
        extra = ""
    source = (
        f"def {step}({n}):\n    if {n} <= 0:\n        return {base}\n{extra}    return {form}\n\n\n"
        f"def f({n}):\n    return {step}({n}) + {draw.number(1, 30)}\n"
    )
    return Draft(source, f"f({depth})", 5 + 4 * (depth + 1))


def _list(draw: Draw, depth: int, names: tuple[str, str], numbers: dict[str, int]) -> Draft:
    (name,) = draw.names("list")
    form = draw.pick(LISTS)
    empty = "[]" if "[{x}[0]" in form else draw.pick(("0", "0", str(draw.number(1, 9))))
    body = form.format(f="f", x=name, **numbers)
    items = draw.numbers(depth, -9, 40)
    source = f"def f({name}):\n    if not {name}:\n        return {empty}\n    return {body}\n"
    return Draft(source, f"f({items})", 3 + 3 * (depth + 1))


def _mutual(draw: Draw, depth: int, names: tuple[str, str], numbers: dict[str, int]) -> Draft:
    one, two = names
    a, b = numbers["a"], draw.number(1, 9)
    source = (
        f"def {one}(n, acc):\n    if n <= 0:\n        return acc\n    return {two}(n - 1, acc {draw.pick('+-')} {a})\n\n\n"
        f"def {two}(n, acc):\n    if n <= 0:\n        return -acc\n    return {one}(n - {draw.between(1, 2)}, acc * 2 - {b})\n\n\n"
        f"def f(n):\n    return {one}(n, {draw.number(0, 9)})\n"
    )
    return Draft(source, f"f({depth})", 6 + 3 * (depth + 1))


def _tree(draw: Draw, depth: int, names: tuple[str, str], numbers: dict[str, int]) -> Draft:
    form = draw.pick(TREES)
    memo = draw.chance(0.3)
    size = min(depth, 7)
    calls = [1, 1]
    for n in range(2, size + 1):
        left, right = (n - 1, n - 2) if "//" not in form else (n // 2, n - 1)
        calls.append(1 + calls[left] + calls[right])
    if memo:
        source = (
            f"def f(n, memo):\n    if n in memo:\n        return memo[n]\n    if n < 2:\n        return n + {draw.below(5)}\n"
            f"    memo[n] = {form.format(f='f', **numbers).replace(')', ', memo)')}\n    return memo[n]\n"
        )
        return Draft(source, f"f({size}, {{}})", 3 + 5 * calls[size])
    source = f"def f(n):\n    if n < 2:\n        return n + {draw.below(5)}\n    return {form.format(f='f', **numbers)}\n"
    return Draft(source, f"f({size})", 3 + 3 * calls[size])


def _nested(draw: Draw, depth: int, names: tuple[str, str], numbers: dict[str, int]) -> Draft:
    name, total, item = draw.names("list", "total", "item")
    empty, inner, leaf = draw.pick(FOLDS)
    nested: list[Any] = [draw.number(0, 30)]
    for _ in range(depth):
        nested = [nested, draw.number(0, 30)] if draw.chance(0.5) else [draw.number(0, 30), nested]
    fill = {"t": total, "v": item, "g": "f", **numbers}
    source = (
        f"def f({name}):\n    {total} = {empty}\n    for {item} in {name}:\n        if isinstance({item}, list):\n"
        f"            {inner.format(**fill)}\n        else:\n            {leaf.format(**fill)}\n    return {total}\n"
    )
    return Draft(source, f"f({nested})", 3 + 12 * (depth + 1))


_KINDS = {"number": _linear, "list": _list, "mutual": _mutual, "tree": _tree, "nested": _nested}

RECURSION = Family(
    "recursion",
    "functions that call themselves or each other",
    {
        "kind": Axis("what the recursion goes down", "number", choices=tuple(_KINDS)),
        "depth": Axis("levels; the number 7 at the most for a tree", 5, 1, 60),
    },
    draw_recursion,
)

"""Sorting and searching: the algorithms that everybody writes once, on lists of ints or words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_BUBBLE = """\
def f({x}):
    for {i} in range(len({x})):
        {flag} = False
        for {j} in range(len({x}) - 1 - {i}):
            if {x}[{j}] {over} {x}[{j} + 1]:
                {x}[{j}], {x}[{j} + 1] = {x}[{j} + 1], {x}[{j}]
                {flag} = True
        if not {flag}:
            break
    return {x}
"""
_INSERTION = """\
def f({x}):
    for {i} in range(1, len({x})):
        {v} = {x}[{i}]
        {j} = {i} - 1
        while {j} >= 0 and {x}[{j}] {over} {v}:
            {x}[{j} + 1] = {x}[{j}]
            {j} -= 1
        {x}[{j} + 1] = {v}
    return {x}
"""
_SELECTION = """\
def f({x}):
    for {i} in range(len({x}) - 1):
        best = {i}
        for {j} in range({i} + 1, len({x})):
            if {x}[best] {over} {x}[{j}]:
                best = {j}
        if best != {i}:
            {x}[{i}], {x}[best] = {x}[best], {x}[{i}]
    return {x}
"""
_QUICK = """\
def f({x}):
    if len({x}) < 2:
        return {x}
    {v} = {x}[0]
    {i} = []
    {j} = []
    for item in {x}[1:]:
        if item {over} {v}:
            {j}.append(item)
        else:
            {i}.append(item)
    return f({i}) + [{v}] + f({j})
"""
_MERGE = """\
def merge({i}, {j}):
    {v} = []
    while {i} and {j}:
        if {i}[0] {over} {j}[0]:
            {v}.append({j}.pop(0))
        else:
            {v}.append({i}.pop(0))
    return {v} + {i} + {j}


def f({x}):
    if len({x}) <= 1:
        return {x}
    mid = len({x}) // 2
    return merge(f({x}[:mid]), f({x}[mid:]))
"""
_BINARY = """\
def f({x}, {v}):
    {x} = sorted({x})
    {i} = 0
    {j} = len({x}) - 1
    while {i} <= {j}:
        mid = ({i} + {j}) // 2
        if {x}[mid] == {v}:
            return mid
        if {x}[mid] < {v}:
            {i} = mid + 1
        else:
            {j} = mid - 1
    return -1
"""
_LINES: dict[str, tuple[str, Callable[[int], int]]] = {
    "bubble": (_BUBBLE, lambda n: 4 + n * (4 + 3 * n)),
    "insertion": (_INSERTION, lambda n: 4 + n * (5 + 3 * n)),
    "selection": (_SELECTION, lambda n: 4 + n * (5 + 3 * n)),
    "quick": (_QUICK, lambda n: 4 + n * (8 + 3 * n)),
    "merge": (_MERGE, lambda n: 4 + 2 * n * (5 + 3 * n.bit_length() + 3)),
    "binary": (_BINARY, lambda n: 8 + 6 * n),
}
NAMES = {
    "bubble": (("i", "j"), ("a", "b"), ("n", "k")),
    "insertion": (("i", "j"), ("k", "j"), ("pos", "at")),
    "selection": (("i", "j"), ("a", "b"), ("start", "k")),
    "quick": (("left", "right"), ("small", "big"), ("low", "high")),
    "merge": (("left", "right"), ("a", "b"), ("one", "two")),
    "binary": (("lo", "hi"), ("left", "right"), ("low", "high")),
}
VALUES = {
    "quick": ("pivot", "first", "p"),
    "merge": ("out", "merged", "result"),
    "binary": ("target", "goal", "wanted"),
}


def _draw_sorting(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the items, then the names of the algorithm's variables."""
    algorithm, length = knobs["algorithm"], knobs["length"]
    items: list[Any]
    if knobs["items"] == "words":
        items = [draw.word() for _ in range(length)]
    else:
        items = draw.numbers(length, -20, 99)
    template, lines = _LINES[algorithm]
    i, j = draw.pick(NAMES[algorithm])
    (x,) = draw.names("list")
    while x in (i, j):
        (x,) = draw.names("list")
    v = draw.pick(VALUES.get(algorithm, ("value", "current", "v")))
    over = draw.pick("><") if algorithm != "binary" else ">"
    source = template.format(x=x, i=i, j=j, v=v, over=over, flag=draw.pick(("swapped", "changed", "moved")))
    target = f", {draw.pick(items)!r}" if algorithm == "binary" else ""
    return Draft(source, f"f({items}{target})", lines(length))


SORTING = Family(
    "sorting",
    "sorting and binary search, written out",
    {
        "algorithm": Axis("which one", "bubble", choices=tuple(_LINES)),
        "length": Axis("items of the list", 5, 1, 40),
        "items": Axis("what is sorted", "ints", choices=("ints", "words")),
    },
    _draw_sorting,
)

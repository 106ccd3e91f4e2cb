"""Distractors: a chain of assignments that the result depends on, between others that it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family, flag

_MOVES = (
    "{x} = {x} + {n}",
    "{x} = {x} * {k} % {m}",
    "{x} -= {n}",
    "{x} ^= {k}",
    "{x} = abs({x} - {n})",
    "{x} = max({x}, {n})",
    "{x} = {x} // {k}",
)
_NOISE = (
    "{y} = {y} + {n}",
    "{y} = {z} - {n}",
    "{y} = {y} * {k} % {m}",
    "{y} += {x} % {k}",
    "{y} = str({z})[:2] and {n}",
    "{y} = len([{y}, {z}]) + {k}",
)


def _draw_distractor(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the chain, then the lines between its links; the same chain whatever is between them."""
    steps, count, each = knobs["steps"], knobs["distractors"], knobs["between"]
    numbers = [
        {"n": draw.number(1, 40), "k": draw.between(2, 5), "m": draw.number(10, 90)} for _ in range(steps)
    ]
    moves = [draw.pick(_MOVES) for _ in range(steps)]
    start = draw.number(0, 60)
    x, *others = draw.names("int", *["int"] * count)
    (branch,) = draw.names("flag")
    lines = [f"    {name} = {draw.number(0, 60)}" for name in others]
    for move, fill in zip(moves, numbers, strict=True):
        if others:
            for _ in range(each):
                y, z = draw.pick(others), draw.pick(others)
                noise = {"n": draw.number(1, 40), "k": draw.between(2, 5), "m": draw.number(10, 90)}
                line = draw.pick(_NOISE).format(x=x, y=y, z=z, **noise)
                if knobs["branches"] and draw.chance(0.3):
                    lines += [
                        f"    {branch} = {z} > {draw.number(0, 60)}",
                        f"    if {branch}:",
                        f"        {line}",
                    ]
                else:
                    lines.append(f"    {line}")
        lines.append("    " + move.format(x=x, **fill))
    source = f"def f({x}):\n" + "\n".join(lines) + f"\n    return {x}\n"
    return Draft(source, f"f({start})", 3 + len(lines))


DISTRACTORS = Family(
    "distractors",
    "a chain of assignments between others that do not matter",
    {
        "steps": Axis("assignments of the chain", 6, 1, 60),
        "distractors": Axis("variables that the result does not depend on", 3, 0, 12),
        "between": Axis("assignments to them before each of the chain", 2, 0, 6),
        "branches": flag("whether some of them are in branches", True),
    },
    _draw_distractor,
)

"""Halting: a loop that reaches its goal, or never does and ends only because its fuel is used up.

Both members of a pair have the same text but for one constant: set `ends` on the same item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family
from cwm_trace.datasets.pools import int_range

_FUELS = ("fuel", "left", "tries", "budget", "limit")


def _draw_halting(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw a walk modulo m, then a goal that is on it, or that is not."""
    fuel, steps = knobs["fuel"], min(knobs["steps"], knobs["fuel"] - 1)
    x, total = draw.names("int", "total")
    tank = draw.pick(_FUELS)
    modulus, factor, shift = draw.number(12, 90), draw.between(1, 3), draw.number(1, 9)
    start = x_now = draw.below(min(10, modulus))
    walk = [start]
    for _ in range(fuel):
        x_now = (x_now * factor + shift) % modulus
        walk.append(x_now)
    first, last = int_range(draw.split, 0, modulus - 1)
    fits = draw.ints[first:last]
    reached = [n for n in walk[1 : steps + 1] if n in fits and n != start]
    never = [n for n in fits if n not in walk] or draw.ints[last : last + 1]
    ends = draw.chance(0.5) if knobs["ends"] == "either" else knobs["ends"] == "goal"
    place = draw.random()
    goals = (reached[-1:] or [start]) if ends else never
    goal = goals[int(place * len(goals))]
    gain = draw.number(1, 9)
    form = draw.below(3)
    move = (
        f"{x} = ({x} * {factor} + {shift}) % {modulus}"
        if factor > 1
        else f"{x} = ({x} + {shift}) % {modulus}"
    )
    if form == 0:
        lines = [
            f"    while {x} != {goal} and {tank} > 0:",
            f"        {move}",
            f"        {tank} -= 1",
        ]
    elif form == 1:
        lines = [
            f"    for {draw.pick(('_', 'i'))} in range({tank}):",
            f"        if {x} == {goal}:",
            "            break",
            f"        {move}",
        ]
    else:
        lines = [
            f"    {total} = 0",
            f"    while {tank}:",
            f"        {tank} -= 1",
            f"        if {x} == {goal}:",
            f"            return 'done', {total}",
            f"        {move}",
            f"        {total} += {gain}",
        ]
    result = f"{x} == {goal}, {tank}" if form == 0 else f"{x} == {goal}" if form == 1 else f"'stop', {total}"
    source = f"def f({x}, {tank}):\n" + "\n".join(lines) + f"\n    return {result}\n"
    return Draft(source, f"f({start}, {fuel})", 6 + 5 * (fuel + 1))


HALTING = Family(
    "halting",
    "a loop that reaches its goal, or runs until its fuel is used up",
    {
        "fuel": Axis("iterations at the most", 12, 2, 1000),
        "steps": Axis("iterations in which the goal is reached, at the most", 6, 1, 999),
        "ends": Axis("how the loop ends", "either", choices=("either", "goal", "fuel")),
    },
    _draw_halting,
)

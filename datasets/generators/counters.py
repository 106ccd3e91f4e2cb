"""Modular counters: a few ints that a loop moves around their moduli, each perhaps by another's value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family


def _draw_counters(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the counters, then the loop that moves them."""
    count, steps = knobs["counters"], knobs["steps"]
    bound, index, *names = draw.names("bound", "index", *["int"] * count)
    moduli = draw.numbers(count, 2, knobs["modulus"])
    body = [
        f"    {name} = {draw.below(min(10, modulus))}" for name, modulus in zip(names, moduli, strict=True)
    ]
    body.append(f"    for {index} in range({bound}):")
    for place, (name, modulus) in enumerate(zip(names, moduli, strict=True)):
        coupled = place and draw.chance(knobs["coupling"])
        step = names[draw.below(place)] if coupled else str(draw.number(1, 9))
        factor = f"{draw.between(2, 5)} * " if draw.chance(0.25) else ""
        body.append(f"        {name} = ({factor}{name} {draw.pick('++-')} {step}) % {modulus}")
    body.append(f"    return {', '.join(names)}")
    source = f"def f({bound}):\n" + "\n".join(body) + "\n"
    return Draft(source, f"f({steps})", 4 + count + (steps + 1) * (count + 1))


COUNTERS = Family(
    "counters",
    "ints that a loop moves around their moduli",
    {
        "counters": Axis("number of counters", 2, 1, 6),
        "modulus": Axis("greatest modulus", 12, 2, 999),
        "steps": Axis("iterations of the loop", 8, 1, 200),
        "coupling": Axis("share of the counters, but the first, that move by an earlier one", 0.5, 0, 1),
    },
    _draw_counters,
)

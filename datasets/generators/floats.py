"""Floats: interest, running means, Newton's roots, relaxations; only operations that IEEE 754 fixes exactly.

Left out because their results differ between versions or machines: `sum` of floats (compensated since
Python 3.12), `**` with a float exponent, and the functions of `math` but `sqrt` and `floor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_UPDATES = {
    "interest": "{x} = {round}{x} * {rate}{end}",
    "mean": "{x} = {round}({x} + {y}) / 2{end}",
    "decay": "{x} -= {x} / {k}",
    "drift": "{x} += {y} * {step}",
    "bounce": "{x} = -{x} / {k} if {x} > {y} else {x} + {small}",
    "clamp": "{x} = min({x} * {k}, {y} + {small})",
    "newton": "{x} = {round}({x} + {n} / {x}) / 2{end}",
    "scale": "{x} = {x} / {k} + {small}",
    "trunc": "{x} = int({x}) + {small} / {k}",
    "remainder": "{x} = {x} * {k} % {n}",
}


def _draw_floats(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the variables, then how each is updated."""
    count, steps, digits = knobs["variables"], knobs["steps"], knobs["digits"]
    bound, index, *names = draw.names("bound", "index", *["float"] * count)
    ends = {"round": "round(", "end": f", {digits})"} if digits else {"round": "", "end": ""}
    body = [f"    for {index} in range({bound}):"]
    kinds = list(_UPDATES)
    for x in names:
        kind = draw.pick(kinds)
        fill = {
            "rate": draw.real(1, 2),
            "y": draw.pick(names) if count > 1 else draw.real(1, 20),
            "k": draw.between(2, 8),
            "n": draw.number(2, 60),
            "step": draw.real(0, 1),
            "small": draw.real(0, 4),
        }
        if kind == "newton":
            body.append(f"        {x} = abs({x}) + 1.0")
        body.append("        " + _UPDATES[kind].format(x=x, **ends, **fill))
        if not digits and draw.chance(0.2):
            body.append(f"        {x} = round({x}, {draw.between(1, 3)})")
    starts = [str(draw.real(0, 40)) for _ in names]
    result = draw.pick((", ".join(names), f"round({' + '.join(names)}, 2)", f"f'{{{names[0]}:.2f}}'"))
    source = f"def f({', '.join(names)}, {bound}):\n" + "\n".join(body) + f"\n    return {result}\n"
    return Draft(source, f"f({', '.join(starts)}, {steps})", 5 + (steps + 1) * len(body))


FLOATS = Family(
    "floats",
    "floats that a loop updates",
    {
        "variables": Axis("number of floats", 2, 1, 4),
        "steps": Axis("iterations of the loop", 5, 1, 50),
        "digits": Axis("decimals that results are rounded to; 0: not rounded", 2, 0, 6),
    },
    _draw_floats,
)

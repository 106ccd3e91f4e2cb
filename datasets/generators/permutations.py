"""S_k: which item is where after a series of swaps, unrolled or in a loop over a list of swaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_SWAPS = ("swaps", "moves", "pairs", "steps", "trades")
_PAIRS = (("i", "j"), ("a", "b"), ("left", "right"), ("p", "q"), ("src", "dst"))


def _draw_permutation(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the swaps; the same ones whatever the form is, so that forms can be compared item by item."""
    k, length = knobs["k"], knobs["length"]
    swaps = [tuple(draw.sample(range(k), 2)) for _ in range(length)]
    words = draw.chance(0.5)
    items: list[Any] = draw.sample(draw.words, k) if words else draw.sample(range(10), k)
    (name,) = draw.names("list")
    swap_name = draw.pick(_SWAPS)
    i, j = draw.pick([pair for pair in _PAIRS if name not in pair])
    if knobs["form"] == "looped":
        source = (
            f"def f({name}, {swap_name}):\n"
            f"    for {i}, {j} in {swap_name}:\n"
            f"        {name}[{i}], {name}[{j}] = {name}[{j}], {name}[{i}]\n"
            f"    return {name}\n"
        )
        return Draft(source, f"f({items}, {swaps})", 4 + 2 * length)
    lines = [f"    {name}[{a}], {name}[{b}] = {name}[{b}], {name}[{a}]" for a, b in swaps]
    source = f"def f({name}):\n" + "\n".join(lines) + f"\n    return {name}\n"
    return Draft(source, f"f({items})", 3 + length)


PERMUTATIONS = Family(
    "permutations",
    "the order of k items after a series of swaps",
    {
        "k": Axis("number of items", 5, 2, 10),
        "length": Axis("number of swaps", 8, 1, 200),
        "form": Axis("one line for each swap, or a loop", "looped", choices=("looped", "unrolled")),
    },
    _draw_permutation,
)

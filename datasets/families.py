"""The families and presets of generated programs, and how an item of them is made.

>>> item = make_item("counters", 3, split="dev")
>>> item == make_item("counters", 3, split="dev")
True
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Family
from cwm_trace.datasets.generators.automata import AUTOMATA, GRID
from cwm_trace.datasets.generators.composition import COMPOSITION
from cwm_trace.datasets.generators.counters import COUNTERS
from cwm_trace.datasets.generators.distractors import DISTRACTORS
from cwm_trace.datasets.generators.exceptions import EXCEPTIONS
from cwm_trace.datasets.generators.floats import FLOATS
from cwm_trace.datasets.generators.general import GENERAL
from cwm_trace.datasets.generators.halting import HALTING
from cwm_trace.datasets.generators.lazy import CLOSURE, GENERATORS
from cwm_trace.datasets.generators.library import LIBRARY
from cwm_trace.datasets.generators.machines import MACHINES
from cwm_trace.datasets.generators.methods import METHODS
from cwm_trace.datasets.generators.objects import OBJECTS
from cwm_trace.datasets.generators.permutations import PERMUTATIONS
from cwm_trace.datasets.generators.recursion import RECURSION
from cwm_trace.datasets.generators.scripts import SCRIPTS
from cwm_trace.datasets.generators.sorting import SORTING
from cwm_trace.datasets.generators.stores import STORES
from cwm_trace.datasets.item import SPLITS, Item, Knob
from cwm_trace.datasets.presets import PRESETS, Part, Preset
from cwm_trace.errors import CwmTraceError

__all__ = ["FAMILIES", "PRESETS", "make_item", "make_items"]

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        GENERAL,
        COUNTERS,
        GRID,
        AUTOMATA,
        MACHINES,
        STORES,
        PERMUTATIONS,
        COMPOSITION,
        RECURSION,
        SORTING,
        EXCEPTIONS,
        GENERATORS,
        CLOSURE,
        OBJECTS,
        FLOATS,
        HALTING,
        DISTRACTORS,
        LIBRARY,
        METHODS,
        SCRIPTS,
    )
}
"""Every family, by name."""


def make_item(
    name: str, index: int, *, seed: int = 0, split: str = "train", knobs: Mapping[str, Knob] | None = None
) -> Item:
    """Item `index` of a family or preset; it depends on the arguments and on nothing else.

    Knobs are not part of what seeds the draws: the same item with another setting differs as little as it
    can.

    Args:
        name: of a family or preset.
        index: any int from 0.
        seed: of the whole series.
        split: one of `SPLITS`; decides which constants may occur, see `cwm_trace.datasets.pools`.
        knobs: of a family; those that are left out have their defaults. A preset takes none.

    Raises:
        CwmTraceError: no such family, preset, knob or split, or a knob out of its range.
    """
    if split not in SPLITS:
        raise CwmTraceError(f"there is no split {split!r}: choose one of {', '.join(SPLITS)}")
    if index < 0:
        raise CwmTraceError(f"index is {index}: items are counted from 0")
    settings: Mapping[str, Knob] = knobs or {}
    draw = Draw(f"{name}|{seed}|{split}|{index}", split)
    where = f"{name}/{seed}/{split}/{index}"
    if name in PRESETS:
        if settings:
            raise CwmTraceError(f"preset {name} takes no knobs: its settings are fixed")
        part = _draw_part(draw, PRESETS[name])
        family = FAMILIES[part.family]
        settings = {knob: draw.pick(values) for knob, values in part.knobs.items()}
    elif name in FAMILIES:
        family = FAMILIES[name]
        where += "".join(f"?{knob}={value}" for knob, value in sorted(settings.items()))
    else:
        known = ", ".join((*FAMILIES, *PRESETS))
        raise CwmTraceError(f"there is no family or preset {name!r}: choose one of {known}")
    settled = family.settle(settings)
    source, call, max_lines = family.draw(draw, settled)
    return Item(where, source, call, family.name, settled, split, None, max_lines)


def make_items(
    name: str,
    count: int,
    *,
    seed: int = 0,
    split: str = "train",
    knobs: Mapping[str, Knob] | None = None,
) -> Iterator[Item]:
    """The first `count` items of a family or preset; errors as for `make_item`, raised at once."""
    make_item(name, 0, seed=seed, split=split, knobs=knobs)
    return (make_item(name, index, seed=seed, split=split, knobs=knobs) for index in range(count))


def _draw_part(draw: Draw, preset: Preset) -> Part:
    place = draw.below(sum(part.weight for part in preset.parts))
    for part in preset.parts:
        place -= part.weight
        if place < 0:
            return part
    raise AssertionError("weights are positive")

"""Mixes of families and settings that never change: a new mix gets a new name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cwm_trace.datasets.item import Knob


@dataclass(frozen=True, slots=True)
class Part:
    """A family in a preset.

    Args:
        family: its name.
        weight: how often it is drawn, relative to the others.
        knobs: settings that differ from the defaults; one of each tuple is drawn for each item.
    """

    family: str
    weight: int
    knobs: Mapping[str, tuple[Knob, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preset:
    """A mix of families at fixed settings.

    Args:
        name: what it is called.
        about: what it is for, in one line.
        parts: what is in it.
    """

    name: str
    about: str
    parts: tuple[Part, ...]


_FORMS = ("unrolled", "looped")
_GENERAL_V1 = Preset(
    "general-v1",
    "short functions on strings, lists and dicts; a third of it isolates one skill at a time",
    (
        Part("general", 66, {"statements": (4, 5, 6, 7), "helpers": (0.1, 0.3), "nesting": (1, 2, 2, 3)}),
        Part("counters", 2, {"counters": (1, 2, 3), "steps": (5, 8, 12), "modulus": (10, 100)}),
        Part("grid", 2, {"size": (4, 6), "steps": (6, 9, 12), "edge": ("stop", "wrap", "open")}),
        Part("automata", 2, {"states": (2, 3), "steps": (6, 9), "form": ("if", "match", "table")}),
        Part("machines", 3, {"kind": ("list", "stack", "deque", "heap"), "steps": (9, 14), "form": _FORMS}),
        Part("stores", 3, {"keys": (3, 5), "steps": (9, 14), "form": _FORMS}),
        Part("permutations", 2, {"k": (3, 5, 6), "length": (8, 12), "form": _FORMS}),
        Part("composition", 3, {"kind": ("str", "str", "list", "int"), "depth": (2, 3, 4, 5),
                                "form": ("helpers", "names", "same")}),
        Part("recursion", 3, {"kind": ("number", "list", "mutual", "tree", "nested"), "depth": (4, 5, 6)}),
        Part("sorting", 2, {"algorithm": ("bubble", "insertion", "selection", "quick", "merge", "binary"),
                            "length": (4, 5, 6), "items": ("ints", "ints", "words")}),
        Part("exceptions", 2, {"depth": (0, 1, 2), "items": (3, 4, 5)}),
        Part("generators", 2, {"stages": (1, 2), "items": (3, 4, 5)}),
        Part("closures", 2, {"closures": (1, 2), "calls": (4, 6)}),
        Part("objects", 2, {"repr": ("own", "own", "dataclass", "default"), "steps": (4, 6)}),
        Part("floats", 1, {"variables": (1, 2), "steps": (4, 6), "digits": (1, 2)}),
        Part("halting", 1, {"fuel": (8, 12), "steps": (3, 6)}),
        Part("distractors", 1, {"steps": (4, 6), "distractors": (1, 3)}),
        Part("library", 1, {"calls": (3, 5)}),
    ),
)  # fmt: skip

_SCRIPTS_V1 = Preset(
    "scripts-v1",
    "whole modules as `cwm-trace run script.py` records them",
    (
        Part("scripts", 7, {"kind": ("loops",), "sections": (1, 1, 2), "rounds": (6, 9, 12, 16)}),
        Part("scripts", 5, {"kind": ("texts",), "sections": (1, 2, 2), "rounds": (6, 9, 12)}),
        Part("scripts", 4, {"kind": ("statements",), "sections": (1, 2, 3), "rounds": (5, 8)}),
        Part("scripts", 5, {"kind": ("functions",), "sections": (1, 2, 2), "rounds": (6, 9, 12)}),
        Part("scripts", 3, {"kind": ("calling",), "rounds": (6, 9, 12)}),
        Part("scripts", 3, {"kind": ("classes",), "rounds": (6,)}),
        Part("scripts", 3, {"kind": ("main",), "rounds": (6, 9, 12)}),
    ),
)

_SHORT_V1 = Preset(
    "short-v1",
    "whole programs of one to three statements, which fit rows of a few hundred tokens",
    (
        Part("general", 5, {"statements": (1, 2, 3), "helpers": (0.0,), "nesting": (1,), "lines": (60,)}),
        Part("methods", 4, {"statements": (0, 1, 2), "rounds": (3, 5, 7)}),
        Part("scripts", 2, {"kind": ("loops", "texts", "statements"), "rounds": (3, 5, 7)}),
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (_GENERAL_V1, _SCRIPTS_V1, _SHORT_V1)}
"""Every preset, by name."""

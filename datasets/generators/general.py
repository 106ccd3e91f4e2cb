"""General programs: a typed function `f`, what it calls, and a call of it, in the style of short puzzles.

They always end: loops go over containers and ranges of known size, `while` moves a counter that nothing else
assigns to, a container that is iterated over is not changed, and every line is charged for the times that it
may run. Nothing depends on hash seeds: sets hold ints only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family
from cwm_trace.datasets.generators.definitions import DEFINITIONS
from cwm_trace.datasets.generators.general_statements import (
    SIMPLE,
    write_exit,
    write_if,
    write_inner,
    write_match,
    write_try,
)
from cwm_trace.datasets.generators.general_writer import Statement, Writer
from cwm_trace.datasets.generators.loops import write_for, write_while

ARGUMENTS = (
    "str", "str", "str", "list", "list", "list", "words", "dict", "count", "count", "int", "pair", "float",
)  # fmt: skip
INNER: tuple[Statement, ...] = (*SIMPLE, write_if, write_if, write_if, write_for, write_try)
_OUTER: tuple[Statement, ...] = (
    *SIMPLE, write_if, write_if, write_for, write_for, write_for, write_for, write_for, write_while,
    write_while, write_try, write_match, write_inner, write_exit,
)  # fmt: skip


def _draw_general(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the functions and classes that `f` may use, then `f`."""
    writer = Writer(draw, knobs["lines"], knobs["nesting"], INNER)

    def define() -> None:
        if draw.chance(knobs["helpers"]):
            draw.pick(DEFINITIONS)(writer)

    for _ in range(3):
        draw.apart(define)
    arguments = [writer.declare(draw.pick(ARGUMENTS)) for _ in range(draw.between(1, 3))]
    literals = [writer.literal(writer.types[name], name) for name in arguments]
    writer.put(f"def f({', '.join(arguments)}):")
    writer.indent = 1
    for start in writer.starts:
        start(writer)
    for _ in range(knobs["statements"]):
        draw.apart(lambda: draw.pick(_OUTER)(writer))
    writer.write_return()
    return Draft(writer.text(), f"f({', '.join(literals)})", writer.cost + 10)


GENERAL = Family(
    "general",
    "typed programs of every kind of statement",
    {
        "statements": Axis("statements of f, those inside others not counted", 6, 1, 30),
        "nesting": Axis("blocks inside blocks", 2, 0, 4),
        "helpers": Axis("share of three chances that a function or class is defined before f", 0.25, 0, 1),
        "lines": Axis("line events of the run, at the most", 260, 60, 4000),
    },
    _draw_general,
)

"""Methods: one function that does something to texts, lists and dicts, as people write them for exercises.

It calls the documented methods of `str`, `list`, `dict`, `set` and `tuple`, slices, sorts with keys, counts,
gathers in loops, returns early. A program is drawn out of forms and tried out (see `sketch`); how often its
loops may go round in all is a knob, which keeps its trace short.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family
from cwm_trace.datasets.generators.sketch import ARGUMENTS, Sketch, UnfitError, try_out
from cwm_trace.datasets.generators.sketch_statements import write_guard, write_return, write_statement

_TAKEN = (
    "str", "str", "str", "str", "str", "str", "list", "list", "list", "list", "words", "words", "dict",
    "dict", "dict", "int", "tally", "groups", "table", "set", "tuple", "pairs", "rows",
)  # fmt: skip
_ALSO = ("int", "int", "char", "str", "char", "list", "words", "dict", "int")
"""Types of the first argument, and of further ones."""

LONGEST = 90
"""Characters of a result."""
ATTEMPTS = 60
SENSELESS = re.compile(
    r"\b(\w+) (?:in|not in|<|<=|>|>=|==|!=) \1\b(?![.\[(])"
    r"|len\((\w+)\) == len\(\2\)|return (\w+) if .* else \3$",
    re.MULTILINE,
)
"""A comparison or a choice between a variable and itself."""
INNER = re.compile(r"\bfor\b.*[])}]|\blambda\b")
"""Lines that may make activations of their own: comprehensions, generator expressions, lambdas."""
_INNER_LINES = 60


def _draw_methods(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw programs until one runs and has something to say."""
    for attempt in range(ATTEMPTS):
        try:
            source, call = _write(draw, knobs["statements"])
        except UnfitError:
            continue
        if SENSELESS.search(source):
            continue
        tried = try_out(source, call, knobs["rounds"])
        if tried is None:
            continue
        rounds, value = tried
        if len(repr(value)) > LONGEST or (not value and attempt % 4 != 3):
            continue
        return Draft(source, call, most_lines(source, rounds))
    text = draw.word()
    return Draft("def f(text):\n    return text.upper()\n", f"f({text!r})", 8)


def most_lines(source: str, rounds: int) -> int:
    """A bound of a program's line events, from how often its loops went round when it was tried out."""
    lines = source.split("\n")
    inner = sum(_INNER_LINES for line in lines if INNER.search(line))
    return (rounds + 2) * (len(lines) + inner)


def _write(draw: Draw, statements: int) -> tuple[str, str]:
    sketch = Sketch(draw)
    kinds = [draw.pick(_TAKEN)]
    kinds += [draw.pick(_ALSO) for share in (0.4, 0.3) if draw.chance(share)]
    names = [sketch.declare(kind, ARGUMENTS) for kind in kinds]
    values = [sketch.literal(kind) for kind in kinds]
    sketch.put(f"def f({', '.join(names)}):")
    sketch.indent = 1
    if draw.chance(0.12):
        write_guard(sketch)
    for _ in range(statements):
        write_statement(sketch)
    write_return(sketch)
    if any(sketch.text().count(name) < 2 for name in names) and draw.chance(0.8):
        raise UnfitError("an argument that is not used")
    source, call = sketch.text(), f"f({', '.join(values)})"
    if draw.chance(0.4):
        source, call = with_double_quotes(source), with_double_quotes(call)
    return source, call


def with_double_quotes(text: str) -> str:
    """The program with its strings in double quotes, if none of them holds one."""
    if '"' in text:
        return text
    return re.sub(r"'([^'\n]*)'", r'"\1"', text)


METHODS = Family(
    "methods",
    "one function that calls methods of texts, lists, dicts, sets and tuples",
    {
        "statements": Axis("statements of f before its return, those inside others not counted", 3, 0, 10),
        "rounds": Axis("rounds of all loops together, at the most", 10, 0, 200),
    },
    _draw_methods,
)

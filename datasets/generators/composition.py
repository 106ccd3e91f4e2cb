"""Compositions: a chain of operations on a string, and the same chain on a list or an int.

Operation number i of one kind stands where operation i of the other kinds does, so that an item and its twins
of other kinds (the same item with another `kind`) have the same text but for the operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_OPERATIONS = {
    "str": (
        "{x}[::-1]", "{x}.upper()", "{x}[{k}:]", "{x}[:-{k}]", "{x} + {x}[:1]",
        "{x}.replace({x}[-1:], {c!r})",
        "{c!r} + {x}", "''.join(sorted({x}))", "{x}[{k}:] + {x}[:{k}]", "{x}[::2]", "{x}.swapcase()",
        "{x}.center({w}, '-')", "{c!r}.join({x}[:4])", "{x}[:3] * 2",
    ),
    "list": (
        "{x}[::-1]", "[v * 2 for v in {x}]", "{x}[{k}:]", "{x}[:-{k}]", "{x} + {x}[:1]",
        "[{n} if v == {x}[-1] else v for v in {x}]",
        "[{n}] + {x}", "sorted({x})", "{x}[{k}:] + {x}[:{k}]", "{x}[::2]", "[-v for v in {x}]",
        "{x} + [0] * ({w} - len({x}))", "[w for v in {x}[:4] for w in (v, {n})]", "{x}[:3] * 2",
    ),
    "int": (
        "{x} * 3 % {m}", "{x} * 2", "{x} // {w}", "{x} - {k}", "{x} + {x} % 10", "{x} ^ {n}",
        "{x} + {n}", "abs({x})", "{x} % {w} * 10 + {k}", "{x} // 2", "-{x}",
        "max({x}, {w})", "{x} * {k} + {n}", "{x} % 100 * 2",
    ),
}  # fmt: skip


def _draw_composition(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw which operations, then everything that any kind may need."""
    kind, depth, form = knobs["kind"], knobs["depth"], knobs["form"]
    which = [draw.below(len(_OPERATIONS["str"])) for _ in range(depth)]
    operands = [
        {
            "k": draw.between(1, 2),
            "w": draw.between(7, 9),
            "c": draw.pick("abcxyz-_"),
            "n": draw.number(1, 9),
            "m": draw.number(30, 99),
        }
        for _ in range(depth)
    ]
    start = {
        "str": repr(draw.word() if draw.chance(0.5) else draw.letters(draw.between(5, 9))),
        "list": repr(draw.numbers(draw.between(4, 6), -9, 30)),
        "int": str(draw.number(10, 99)),
    }[kind]
    (name, *names), helpers = draw.names(*["text"] * 6), draw.names(*["function"] * 5)
    if kind != "str":
        name, *names = draw.names(*["list" if kind == "list" else "int"] * 6)
    forms = [(_OPERATIONS[kind][place], operand) for place, operand in zip(which, operands, strict=True)]
    lines = 6 + depth * (24 if kind == "list" else 3)
    body = ""
    if form == "helpers":
        for helper, (operation, operand) in zip(helpers, forms, strict=False):
            body += f"def {helper}({name}):\n    return {operation.format(x=name, **operand)}\n\n\n"
        call = name
        for helper in helpers[:depth]:
            call = f"{helper}({call})"
        return Draft(f"{body}def f({name}):\n    return {call}\n", f"f({start})", lines)
    body = f"def f({name}):\n"
    reuse = form == "same"
    for operation, operand in forms:
        target = name if reuse else names.pop()
        body += f"    {target} = {operation.format(x=name, **operand)}\n"
        name = target
    return Draft(f"{body}    return {name}\n", f"f({start})", lines)


COMPOSITION = Family(
    "composition",
    "a chain of operations on a string, with twins on lists and ints",
    {
        "kind": Axis("what is operated on", "str", choices=("str", "list", "int")),
        "depth": Axis("operations in the chain", 3, 1, 5),
        "form": Axis("a helper function for each operation, a new name for each, or one name", "helpers",
                     choices=("helpers", "names", "same")),
    },
    _draw_composition,
)  # fmt: skip

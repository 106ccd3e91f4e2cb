"""Exceptions: raised some calls down, caught on the way or not, for each item of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family, flag

_FAULTS = (  # what raises for some items, the type, the items that raise and those that do not
    ("{m} // {v}", "ZeroDivisionError", ("0",), ("1", "2", "3", "5")),
    ("int({v})", "ValueError", ("'x'", "'no'", "''", "'b'"), ("'1'", "'2'", "'3'", "' 7'")),
    ("[{m}, {a}, 3][{v}]", "IndexError", ("3", "5", "-4"), ("0", "1", "2", "-1")),
    ("{{'x': {m}, 'y': {a}}}[{v}]", "KeyError", ("'z'", "'w'", "''"), ("'x'", "'y'")),
    ("{v} + {a}", "TypeError", ("None", "'x'", "[]"), ("1", "2", "3")),
    ("len({v}) + {a}", "TypeError", ("None", "3", "0"), ("'x'", "[]", "[1, 2]")),
    ("{v}.count('x') + {m}", "AttributeError", ("None", "4", "7"), ("'x'", "'x-'", "''")),
)
_BASES = {"ZeroDivisionError": "ArithmeticError", "IndexError": "LookupError", "KeyError": "LookupError"}


_HANDLED = (  # what a handler does; the last two need the exception's name
    "{t} -= {n}",
    "{t} = {t} * 2 + {n}",
    "continue",
    "{t} += len({e}.args) + {n}",
    "{t} += len(type({e}).__name__)",
)
_CLAUSES = ("", "", "        else:\n            {t} += 1\n", "        finally:\n            {t} += 2\n")
_CHAINED = """\
def {f}({v}):
    try:
        return {inner}
    except {kind} as {e}:
        raise {own}({v}) from {e}


"""
_GUARDED = """\
def {f}({v}):
    try:
        return {inner}
    finally:
        LOG.append({n})


"""
PLAIN = """\
def {f}({v}):
    {r} = {inner}
    return {r} {sign} {n}


"""


def _draw_exceptions(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the fault, the functions on the way to it, then the items."""
    depth, count, escapes = knobs["depth"], knobs["items"], knobs["escapes"]
    fault, kind, bad, good = draw.pick(_FAULTS)
    roles = ("list", "item", "error", "total", *["function"] * depth)
    values, item, error, total, *helpers = draw.names(*roles)
    raised = max(round(count * knobs["raised"]), int(escapes))
    items = [draw.pick(bad) for _ in range(raised)] + [draw.pick(good) for _ in range(count - raised)]
    items = draw.sample(items, count)
    guard, own = draw.chance(0.3) and depth > 1, draw.chance(0.35) and depth > 0
    caught = draw.pick((kind, kind, _BASES.get(kind, kind), f"({kind}, OSError)", "Exception"))
    call, source = fault.format(v=item, m=draw.number(6, 60), a=draw.number(1, 9)), ""
    fill = {"v": item, "e": error, "kind": kind, "own": draw.pick(("ParseError", "BadItem", "StepError"))}
    if own:
        source = f"class {fill['own']}(Exception):\n    pass\n\n\n"
        caught = draw.pick((fill["own"], "Exception"))
    if guard:
        source += "LOG = []\n\n\n"
    for place, helper in enumerate(helpers):
        form = _CHAINED if own and not place else _GUARDED if guard and place else PLAIN
        part = {"r": draw.pick(("value", "res", "out")), "sign": draw.pick("+-*"), "n": draw.number(2, 9)}
        source += form.format(f=helper, inner=call, **part, **fill)
        call = f"{helper}({item})"
    source += f"def f({values}):\n    {total} = {draw.below(9)}\n    for {item} in {values}:\n"
    named = draw.chance(0.6)
    handled = draw.pick(_HANDLED if named else _HANDLED[:3]).format(t=total, e=error, n=draw.number(1, 9))
    clause = draw.pick(_CLAUSES).format(t=total)
    if escapes:
        source += f"        {total} += {call}\n"
    else:
        source += f"        try:\n            {total} += {call}\n        except {caught}"
        source += f" as {error}:\n" if named else ":\n"
        source += f"            {handled}\n{clause}"
    source += f"    return {total}, LOG\n" if guard else f"    return {total}\n"
    return Draft(source, f"f([{', '.join(items)}])", 10 + depth + 2 * count + count * (8 + 5 * depth))


EXCEPTIONS = Family(
    "exceptions",
    "exceptions that are raised some calls down, and caught or not",
    {
        "depth": Axis("calls between the handler and the fault", 1, 0, 5),
        "items": Axis("items of the list", 4, 1, 50),
        "raised": Axis("share of the items that raise", 0.5, 0, 1),
        "escapes": flag("whether nothing is caught in f: the first fault ends the program", False),
    },
    _draw_exceptions,
    outcomes=("returned", "raised"),
)

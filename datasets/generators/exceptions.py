"""Exceptions: raised some calls down, caught on the way or not, for each item of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family, flag

FAULTS = (  # what raises for some items, the type, the items that raise and those that do not
    ("{m} // {v}", "ZeroDivisionError", ("0",), ("1", "2", "3", "5")),
    ("int({v})", "ValueError", ("'x'", "'no'", "''", "'b'"), ("'1'", "'2'", "'3'", "' 7'")),
    ("[{m}, {a}, 3][{v}]", "IndexError", ("3", "5", "-4"), ("0", "1", "2", "-1")),
    ("{{'x': {m}, 'y': {a}}}[{v}]", "KeyError", ("'z'", "'w'", "''"), ("'x'", "'y'")),
    ("{v} + {a}", "TypeError", ("None", "'x'", "[]"), ("1", "2", "3")),
    ("len({v}) + {a}", "TypeError", ("None", "3", "0"), ("'x'", "[]", "[1, 2]")),
    ("{v}.count('x') + {m}", "AttributeError", ("None", "4", "7"), ("'x'", "'x-'", "''")),
)
BASES = {"ZeroDivisionError": "ArithmeticError", "IndexError": "LookupError", "KeyError": "LookupError"}


def draw_exceptions(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the fault, the functions on the way to it, then the items."""
    depth, count = knobs["depth"], knobs["items"]
    fault, kind, bad, good = draw.pick(FAULTS)
    values, item, error, total = draw.names("list", "item", "error", "total")
    helpers = draw.names(*["function"] * depth)
    raised = max(1, round(count * knobs["raised"])) if knobs["escapes"] else round(count * knobs["raised"])
    items = [draw.pick(bad) for _ in range(raised)] + [draw.pick(good) for _ in range(count - raised)]
    items = draw.sample(items, count)
    guard, custom = draw.chance(0.3), draw.chance(0.35)
    expression = fault.format(v=item, m=draw.number(6, 60), a=draw.number(1, 9))
    caught = draw.pick((kind, kind, BASES.get(kind, kind), f"({kind}, OSError)", "Exception"))
    lines: list[str] = []
    if custom:
        kind_name = draw.pick(("ParseError", "BadItem", "StepError", "InputError"))
        lines += [f"class {kind_name}(Exception):", "    pass", "", ""]
    for place, helper in enumerate(helpers):
        inner = expression if not place else f"{helpers[place - 1]}({item})"
        lines.append(f"def {helper}({item}):")
        if place == 0 and custom:
            lines += ["    try:", f"        return {inner}", f"    except {kind} as {error}:",
                      f"        raise {kind_name}({item}) from {error}"]  # fmt: skip
            caught = draw.pick((kind_name, "Exception"))
        elif place and guard:
            lines += [
                "    try:",
                f"        return {inner}",
                "    finally:",
                f"        LOG.append({draw.number(0, 9)})",
            ]
        else:
            lines.append(f"    {draw.pick(('value', 'res', 'out'))} = {inner}")
            lines.append(f"    return {lines[-1].split()[0]} {draw.pick('+-*')} {draw.number(2, 9)}")
        lines += ["", ""]
    logs = guard and depth > 1
    last = f"{helpers[-1]}({item})" if helpers else expression
    handler = [f"        except {caught} as {error}:" if draw.chance(0.6) else f"        except {caught}:"]
    handled = [
        f"            {total} -= {draw.number(1, 9)}",
        f"            {total} = {total} * 2 + {draw.number(1, 9)}",
        "            continue",
        f"            {total} += len(str({error}))",
        f"            {total} += len(type({error}).__name__)",
    ]
    handler.append(draw.pick(handled if " as " in handler[0] else handled[:3]))
    endings = [
        [],
        [],
        ["        else:", f"            {total} += 1"],
        ["        finally:", f"            {total} += 2"],
    ]
    ending = draw.pick(endings)
    lines += ["LOG = []", "", ""] * logs + [f"def f({values}):", f"    {total} = {draw.below(9)}"]
    lines.append(f"    for {item} in {values}:")
    if knobs["escapes"]:
        lines.append(f"        {total} += {last}")
    else:
        lines += ["        try:", f"            {total} += {last}", *handler, *ending]
    lines.append(f"    return {total}, LOG" if logs else f"    return {total}")
    bound = 8 + depth + 2 * (1 + count) + count * (8 + 5 * depth)
    return Draft("\n".join(lines) + "\n", f"f([{', '.join(items)}])", bound)


EXCEPTIONS = Family(
    "exceptions",
    "exceptions that are raised some calls down, and caught or not",
    {
        "depth": Axis("calls between the handler and the fault", 1, 0, 5),
        "items": Axis("items of the list", 4, 1, 50),
        "raised": Axis("share of the items that raise", 0.5, 0, 1),
        "escapes": flag("whether nothing is caught in f: the first fault ends the program", False),
    },
    draw_exceptions,
    outcomes=("returned", "raised"),
)

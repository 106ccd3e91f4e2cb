"""Generators that feed each other, and closures that keep and change variables of their makers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_STAGES = (
    "    for {v} in {x}:\n        if {v} % {k} != 0:\n            yield {v}\n",
    "    for {v} in {x}:\n        yield {v} * {k} {sign} {n}\n",
    "    {t} = 0\n    for {v} in {x}:\n        {t} += {v}\n        yield {t}\n",
    "    {t} = {n}\n    for {v} in {x}:\n        yield {v} - {t}\n        {t} = {v}\n",
    "    for {i}, {v} in enumerate({x}):\n        yield {i} * {v}\n",
    "    yield {n}\n    yield from {x}\n",
    "    for {v} in {x}:\n        if {v} > {big}:\n            return\n        yield {v}\n",
    "    for {v} in {x}:\n        yield {v}\n        if {v} % {k} == 0:\n            yield -{v}\n",
    "    return ({v} + {n} for {v} in {x})\n",
)
_CONSUMERS = (
    "    return list({g})\n",
    "    return sum({g})\n",
    "    {t} = 0\n    for {v} in {g}:\n        {t} = {t} * 2 - {v}\n    return {t}\n",
    "    {t} = []\n    for {v} in {g}:\n        {t}.append({v})\n"
    "        if len({t}) == {stop}:\n            break\n    return {t}\n",
    "    {t} = {g}\n    {v} = next({t}, {n})\n    return {v}, list({t})\n",
    "    return max({g}, default={n})\n",
)


def _draw_generators(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the stages, then what is done with their items."""
    stages, count = knobs["stages"], knobs["items"]
    x, t, v, i = draw.names("list", "total", "item", "index")
    makers = draw.names(*["generator"] * stages)
    parts = []
    size, bound = count, 3 + stages
    for maker in makers:
        stage = draw.pick(_STAGES)
        fill = {
            "n": draw.number(1, 30),
            "k": draw.between(2, 3),
            "sign": draw.pick("+-"),
            "big": draw.number(20, 60),
        }
        parts.append(f"def {maker}({x}):\n" + stage.format(x=x, t=t, v=v, i=i, **fill))
        size = size * (2 if "yield -" in stage else 1) + ("yield from" in stage)
        bound += 5 + 4 * size
    call = x
    for maker in makers:
        call = f"{maker}({call})"
    stop = draw.between(2, 4)
    parts.append(
        f"def f({x}):\n" + draw.pick(_CONSUMERS).format(g=call, t=t, v=v, stop=stop, n=draw.number(0, 30))
    )
    return Draft("\n\n".join(parts), f"f({draw.numbers(count, -9, 40)})", bound + 5 + 4 * size)


GENERATORS = Family(
    "generators",
    "generator functions that feed each other",
    {
        "stages": Axis("generators between the list and the result", 2, 1, 4),
        "items": Axis("items of the list", 4, 0, 50),
    },
    _draw_generators,
)

_CLOSURES = (
    "    def {g}({v}):\n        nonlocal {n}\n        {n} += {v}\n        return {n}\n    return {g}\n",
    "    def {g}({v}):\n        nonlocal {n}\n        {n} = ({n} * {a} + {v}) % {m}\n        return {n}\n"
    "    return {g}\n",
    "    seen = []\n    def {g}({v}):\n        seen.append({v} + {n})\n"
    "        return sum(seen)\n    return {g}\n",
    "    calls = 0\n    def {g}({v}):\n        nonlocal calls\n        calls += 1\n"
    "        return {v} * {n} if calls % 2 else {v} - {n}\n    return {g}\n",
    "    cache = {{}}\n    def {g}({v}):\n        if {v} not in cache:\n"
    "            cache[{v}] = {v} * {n} % {m}\n"
    "        return cache[{v}]\n    return {g}\n",
    "    return lambda {v}: {v} * {a} + {n}\n",
)


def _draw_closures(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the maker, the closures that it makes, then their calls."""
    count, calls = knobs["closures"], knobs["calls"]
    maker, inner, v, total = draw.names("maker", "inner", "item", "total")
    n = draw.pick(("n", "base", "start", "size"))
    if n in (v, total):
        n = "amount"
    fill = {"g": inner, "v": v, "n": n, "a": draw.between(2, 4), "m": draw.number(10, 60)}
    source = f"def {maker}({n}):\n" + draw.pick(_CLOSURES).format(**fill) + "\n\n"
    closures = draw.sample(("one", "two", "first", "other", "left", "right"), count)
    arguments = draw.names(*["bound"] * count)
    lines = [f"    {name} = {maker}({argument})" for name, argument in zip(closures, arguments, strict=True)]
    if draw.chance(0.4):  # in a loop
        name = draw.pick(closures)
        start, item = draw.number(0, 9), "i" if v != "i" else "k"
        uses = "".join(f" + {other}({item})" for other in closures if other != name)
        lines += [f"    {total} = {start}", f"    for {item} in range({calls}):"]
        lines += [f"        {total} = {name}({total} % 10){uses}", f"    return {total}"]
        each = count
    else:
        lines.append(f"    {total} = []")
        for _ in range(calls):
            lines.append(f"    {total}.append({draw.pick(closures)}({draw.number(0, 30)}))")
        lines.append(f"    return {total}")
        each = 1
    source += f"def f({', '.join(arguments)}):\n" + "\n".join(lines) + "\n"
    numbers = ", ".join(map(str, draw.numbers(count, 0, 20)))
    return Draft(source, f"f({numbers})", 3 + len(lines) + 4 * count + calls * (2 + each * 4))


CLOSURE = Family(
    "closures",
    "functions that keep and change variables of their makers",
    {
        "closures": Axis("closures of one maker", 2, 1, 4),
        "calls": Axis("calls of them", 5, 1, 100),
    },
    _draw_closures,
)

"""Objects: classes with attributes and methods; what a trace shows of them is their `repr`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_BODIES = (
    ("self.{a} += {v}", "return self.{a}"),
    ("self.{a} = self.{a} * {k} % {m}", "return self.{b} - {v}"),
    ("self.{b}.append({v})", "return len(self.{b})"),
    ("self.{b} = self.{b}[-2:] + [{v}]", "return self.{b}[0]"),
    ("self.{a}, {v} = {v}, self.{a}", "return {v}"),
    ("if {v} > self.{a}:\n            self.{a} = {v}", "return self.{a} % {m}"),
    (
        "if self.{a} % 2:\n            self.{a} += 1\n        else:\n            self.{a} -= {v}",
        "return self",
    ),
)


def _draw_objects(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the class, the objects, then the calls of their methods."""
    kind, count, steps = knobs["repr"], knobs["objects"], knobs["steps"]
    (name,) = draw.names("class")
    a, b, v, total = draw.names("attribute", "attribute", "item", "total")
    methods = draw.names(*["method"] * draw.between(1, 2))
    bodies = [draw.pick(_BODIES) for _ in methods]
    listed = any("{b}.append" in text or "{b}[" in text for body in bodies for text in body)
    lines = ["from dataclasses import dataclass", "", "", "@dataclass"] if kind == "dataclass" else []
    lines.append(f"class {name}:")
    if kind == "dataclass":
        lines += [f"    {a}: int", f"    {b}: {'list' if listed else 'int'}"]
    else:
        lines += [f"    def __init__(self, {a}, {b}):", f"        self.{a} = {a}", f"        self.{b} = {b}"]
    for method, (body, result) in zip(methods, bodies, strict=True):
        fill = {"a": a, "b": b, "v": v, "k": draw.between(2, 4), "m": draw.number(10, 60)}
        if listed and "self.{b} -" in result:
            result = "return self.{a} - {v}"
        lines += ["", f"    def {method}(self, {v}):", f"        {body.format(**fill)}"]
        lines.append(f"        {result.format(**fill)}")
    if kind == "own":
        lines += ["", "    def __repr__(self):", f"        return f'{name}({{self.{a}}}, {{self.{b}}})'"]
    lines += ["", "", "def f():"]
    held = draw.names(*["object"] * count)
    for place, one in enumerate(held):
        if place and draw.chance(knobs["aliasing"]):
            lines.append(f"    {one} = {held[draw.below(place)]}")
            continue
        second = draw.numbers(draw.between(1, 2), 0, 30) if listed else draw.number(0, 30)
        lines.append(f"    {one} = {name}({draw.number(0, 40)}, {second})")
    lines.append(f"    {total} = {draw.below(5)}")
    for _ in range(steps):
        one, which = draw.pick(held), draw.below(len(methods))
        argument = str(draw.number(0, 30)) if draw.chance(0.5) else f"{total} % 10"
        call = f"{one}.{methods[which]}({argument})"
        attribute = f".{a}" if bodies[which][1] == "return self" else ""
        lines.append(f"    {total} = {call}{attribute}" if draw.chance(0.6) else f"    {call}")
    shown = [f"repr({held[0]})"] if kind != "default" and draw.chance(0.5) else [f"{one}.{a}" for one in held]
    lines.append(f"    return {total}, {', '.join(shown)}")
    own = 2 * kind.count("own")
    return Draft("\n".join(lines) + "\n", "f()", 12 + own + 4 * count + 7 * steps)


OBJECTS = Family(
    "objects",
    "a class, its objects, and calls of their methods",
    {
        "repr": Axis("how objects show themselves", "own", choices=("own", "dataclass", "default")),
        "objects": Axis("names of objects", 2, 1, 5),
        "aliasing": Axis("share of the names, but the first, that are further names of an object", 0.3, 0, 1),
        "steps": Axis("method calls", 5, 1, 100),
    },
    _draw_objects,
)

"""Machines: a list, stack, deque or heap that operations change in place, also under its other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_HEADS = {"deque": "from collections import deque\n\n\n", "heap": "import heapq\n\n\n"}
_COPIES = {"deque": "{}.copy()", "list": "{}[:]", "stack": "list({})", "heap": "sorted({})"}
_GROW = {
    "list": ("{}.append({n})", "{}.insert({small}, {n})", "{} += [{n}]", "{}.extend([{n}, {small}])"),
    "stack": ("{}.append({n})",),
    "deque": ("{}.append({n})", "{}.appendleft({n})"),
    "heap": ("heapq.heappush({}, {n})",),
}
_SHRINK = {
    "list": ("{v} = {}.pop()", "{v} = {}.pop(0)", "del {}[0]", "{}.remove({}[-1])"),
    "stack": ("{v} = {}.pop()",),
    "deque": ("{v} = {}.pop()", "{v} = {}.popleft()"),
    "heap": ("{v} = heapq.heappop({})",),
}
_CHANGE = {
    "list": (
        "{}.reverse()",
        "{}.sort()",
        "{}[0] = {n}",
        "{}[-1] += {small}",
        "{}[0], {}[-1] = {}[-1], {}[0]",
    ),
    "stack": ("{}[-1] += {small}", "{}[-1] *= 2", "{v} = {}[-1]"),
    "deque": ("{}.rotate({small})", "{}.rotate(-1)", "{}[0] += {small}", "{}.reverse()"),
    "heap": ("{v} = heapq.heapreplace({}, {n})", "{v} = heapq.heappushpop({}, {n})", "{v} = {}[0]"),
}
_LOOPED = {
    "list": (("push", "{}.append({n})"), ("put", "{}.insert(0, {n})"), ("drop", "{}.pop()")),
    "stack": (("push", "{}.append({n})"), ("add", "{}.append({}.pop() + {n})"), ("drop", "{}.pop()")),
    "deque": (("append", "{}.append({n})"), ("appendleft", "{}.appendleft({n})"), ("pop", "{}.popleft()")),
    "heap": (
        ("push", "heapq.heappush({}, {n})"),
        ("put", "heapq.heappushpop({}, {n})"),
        ("pop", "heapq.heappop({})"),
    ),
}


def _draw_machine(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the first items, the names, then the operations."""
    kind, steps = knobs["kind"], knobs["steps"]
    items = draw.numbers(draw.between(2, 4), -9, 40)
    argument, value, *names = draw.names("list", "total", *["list"] * (1 + knobs["aliases"]))
    start = {"deque": f"deque({argument})", "heap": f"sorted({argument})"}.get(kind, f"list({argument})")
    if knobs["form"] == "looped":
        return _looped(draw, kind, steps, items, (argument, names[0], start))
    lines = [f"    {names[0]} = {start}"]
    sizes = [len(items)]
    which = [0]  # the object that each name is bound to
    for place in range(1, len(names)):
        other = draw.below(place)
        if draw.chance(0.3):
            lines.append(f"    {names[place]} = {_COPIES[kind].format(names[other])}")
            which.append(len(sizes))
            sizes.append(sizes[which[other]])
        else:
            lines.append(f"    {names[place]} = {names[other]}")
            which.append(which[other])
    bound = False
    for _ in range(steps):
        place = draw.below(len(names))
        size = sizes[which[place]]
        share = draw.random()
        if size < 2 or (share < 0.4 and size < 9):
            form = draw.pick(_GROW[kind])
            sizes[which[place]] += 2 if "extend" in form else 1
        elif share < 0.7:
            form = draw.pick(_SHRINK[kind])
            sizes[which[place]] -= 1
        else:
            form = draw.pick(_CHANGE[kind])
        bound = bound or "{v}" in form
        name = names[place]
        numbers = {"v": value, "n": draw.number(-9, 60), "small": draw.between(1, 2)}
        lines.append("    " + form.format(*[name] * form.count("{}"), **numbers))
    results = [*names, value] if bound else names
    lines.append(f"    return {', '.join(results)}")
    source = _HEADS.get(kind, "") + f"def f({argument}):\n" + "\n".join(lines) + "\n"
    return Draft(source, f"f({items})", 4 + len(lines))


def _looped(draw: Draw, kind: str, steps: int, items: list[int], names: tuple[str, str, str]) -> Draft:
    argument, name, start = names
    (grow, gain), (other, change), (shrink, loss) = _LOOPED[kind]
    program, op, number = draw.pick(("ops", "commands", "program", "log")), draw.pick(("op", "cmd")), "arg"
    operations = [(draw.pick((grow, grow, other, shrink)), draw.number(0, 60)) for _ in range(steps)]
    lines = [
        f"def f({argument}, {program}):",
        f"    {name} = {start}",
        f"    for {op}, {number} in {program}:",
        f"        if {op} == {grow!r}:",
        "            " + gain.format(name, n=number),
        f"        elif {op} == {other!r} and {name}:",
        "            " + change.format(*[name] * change.count("{}"), n=number),
        f"        elif {name}:",
        "            " + loss.format(name),
        f"    return {name}",
    ]
    return Draft(_HEADS.get(kind, "") + "\n".join(lines) + "\n", f"f({items}, {operations})", 7 + 6 * steps)


MACHINES = Family(
    "machines",
    "a list, stack, deque or heap that is changed in place, also under other names",
    {
        "kind": Axis("the container", "list", choices=("list", "stack", "deque", "heap")),
        "steps": Axis("operations", 10, 1, 100),
        "aliases": Axis("further names, of the same object or of a copy; unrolled form only", 1, 0, 4),
        "form": Axis("one line for each operation, or a loop over a list of them", "unrolled",
                     choices=("unrolled", "looped")),
    },
    _draw_machine,
)  # fmt: skip

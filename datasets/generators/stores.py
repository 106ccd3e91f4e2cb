"""Stores: a dict and a set that are written and read by key, each read some steps after its write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_DICT_FORMS = (
    "{d}[{k!r}] = {n}",
    "{d}[{k!r}] = {n}",
    "{d}[{k!r}] = {d}.get({other!r}, {n}) + {small}",
    "{v} = {d}.get({k!r}, {small})",
    "{v} = {d}.pop({k!r}, {small})",
    "{v} = {d}.setdefault({k!r}, {n})",
    "{d}.update({{{k!r}: {n}, {other!r}: {v}}})",
    "{v} = {v} + {d}.get({k!r}, 0)",
    "{v} = len({d})",
    "{d}[{k!r}] = {v}",
)
_SET_FORMS = (
    "{s}.add({n})",
    "{s}.add({v} % 10)",
    "{s}.discard({n})",
    "{s} |= {{{n}, {small}}}",
    "{s} -= {{{small}, {v}}}",
    "{v} = len({s})",
    "{v} = {v} + int({n} in {s})",
    "{s} ^= {{{small}}}",
)


def _draw_store(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the keys, then the operations."""
    kind, steps = knobs["kind"], knobs["steps"]
    keys = draw.sample(draw.words, knobs["keys"])
    store, group, value = draw.names("dict", "set", "total")
    if knobs["form"] == "looped":
        return _looped(draw, steps, keys, (store, group, value))
    lines = [f"    {value} = {draw.below(5)}"]
    first = {key: draw.number(0, 30) for key in keys[: 1 + draw.below(len(keys))]}
    lines += [f"    {store} = {first!r}"] * (kind != "set") + [f"    {group} = set()"] * (kind != "dict")
    forms = {"dict": _DICT_FORMS, "set": _SET_FORMS, "both": _DICT_FORMS + _SET_FORMS}[kind]
    ints = draw.numbers(knobs["keys"], 0, 30)
    for _ in range(steps):
        form = draw.pick(forms)
        number = draw.pick(ints) if "{s}" in form else draw.number(0, 60)
        k, other = draw.pick(keys), draw.pick(keys)
        small = draw.between(1, 4)
        lines.append("    " + form.format(d=store, s=group, v=value, k=k, other=other, n=number, small=small))
    results = [name for name, wanted in ((store, "set"), (group, "dict"), (value, "")) if kind != wanted]
    results = [f"sorted({name})" if name == group else name for name in results]
    lines.append(f"    return {', '.join(results)}")
    return Draft("def f():\n" + "\n".join(lines) + "\n", "f()", 2 + len(lines))


def _looped(draw: Draw, steps: int, keys: list[str], names: tuple[str, str, str]) -> Draft:
    store, group, value = names
    ops, op, key, number = draw.pick(("ops", "events", "log")), "op", "key", "n"
    operations = [
        (draw.pick(("set", "set", "add", "del", "get")), draw.pick(keys), draw.number(0, 30))
        for _ in range(steps)
    ]
    lines = [
        f"def f({ops}):",
        f"    {store}, {group}, {value} = {{}}, set(), 0",
        f"    for {op}, {key}, {number} in {ops}:",
        f"        if {op} == 'set':",
        f"            {store}[{key}] = {number}",
        f"        elif {op} == 'add':",
        f"            {store}[{key}] = {store}.get({key}, 0) + {number}",
        f"            {group}.add({number})",
        f"        elif {op} == 'del' and {key} in {store}:",
        f"            {group}.discard({store}.pop({key}))",
        "        else:",
        f"            {value} += {store}.get({key}, 1)",
        f"    return {store}, sorted({group}), {value}",
    ]
    return Draft("\n".join(lines) + "\n", f"f({operations})", 6 + 6 * steps)


STORES = Family(
    "stores",
    "a dict and a set that are written and read by key",
    {
        "kind": Axis("which stores; unrolled form only", "both", choices=("dict", "set", "both")),
        "keys": Axis("different keys", 4, 1, 12),
        "steps": Axis("operations", 10, 1, 100),
        "form": Axis("one line for each operation, or a loop over a list of them", "unrolled",
                     choices=("unrolled", "looped")),
    },
    _draw_store,
)  # fmt: skip

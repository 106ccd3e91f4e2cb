"""Calls of the standard library: steps whose inside a trace does not show, some of which call back.

Only functions whose results are the same on every supported Python version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

INTS = (  # of a list of ints: module, expression, type of the result
    ("math", "math.gcd({a}, {n})", "int"),
    ("math", "math.prod({x}[:3])", "int"),
    ("math", "math.isqrt(abs({a}) * {n})", "int"),
    ("math", "math.comb({k} + 4, {k})", "int"),
    ("bisect", "bisect.bisect(sorted({x}), {n})", "int"),
    ("bisect", "bisect.insort({x}, {n})", ""),
    ("heapq", "heapq.nsmallest({k}, {x})", "list"),
    ("heapq", "heapq.nlargest({k}, {x})", "list"),
    ("itertools", "list(itertools.accumulate({x}))", "list"),
    ("itertools", "list(itertools.islice({x}, {k}))", "list"),
    ("itertools", "list(itertools.chain({x}, [{n}]))", "list"),
    ("itertools", "list(itertools.pairwise({x}))[:{k}]", ""),
    ("itertools", "list(itertools.combinations({x}[:3], 2))", ""),
    ("statistics", "statistics.median_low({x} or [{n}])", "int"),
    ("collections", "collections.Counter({x}).most_common({k})", ""),
    ("collections", "collections.deque({x}, maxlen={k})", ""),
    ("operator", "operator.itemgetter(0, -1)({x} or [{n}])", ""),
    ("copy", "copy.copy({x})", "list"),
    ("json", "json.dumps({x}[:{k}])", ""),
)
TEXTS = (  # of a string
    ("re", "re.findall(r'[{l}]+', {s})", ""),
    ("re", "re.sub(r'[{l}]', {c!r}, {s})", "str"),
    ("re", "re.split(r'[{l}]', {s}, maxsplit={k})", ""),
    ("string", "string.capwords({s})", "str"),
    ("textwrap", "textwrap.wrap({s}, width={w})", ""),
    ("textwrap", "textwrap.indent({s}, '> ')", ""),
    ("collections", "dict(collections.Counter({s}))", ""),
    ("itertools", "[(k, len(list(g))) for k, g in itertools.groupby({s})]", ""),
    ("difflib", "difflib.SequenceMatcher(None, {s}, {word!r}).ratio() > 0.5", ""),
    ("json", "json.dumps({{'s': {s}, 'n': {a}}})", ""),
    ("json", "json.loads('[{k}]')", ""),
    ("base64", "base64.b16encode({s}[:3].encode()).decode()", "str"),
    ("zlib", "zlib.crc32({s}.encode()) % {n}", "int"),
    ("fnmatch", "fnmatch.fnmatch({s}, '*{c}*')", ""),
)
_CALLBACKS = (  # call a function of the program
    ("functools", "functools.reduce({g}, {x}, {n})", "int", "def {g}({p}, {q}):\n    return {p} * 2 - {q}\n"),
    ("functools", "functools.reduce({g}, {x}, {n})", "int",
     "def {g}({p}, {q}):\n    if {q} > {p}:\n        return {q}\n    return {p} + 1\n"),
    ("itertools", "list(itertools.takewhile({g}, {x}))", "list", "def {g}({p}):\n    return {p} < {n}\n"),
    ("itertools", "list(itertools.dropwhile({g}, {x}))", "list",
     "def {g}({p}):\n    return {p} % {k} == 0\n"),
    ("re", "re.sub(r'[{l}]', {g}, {s})", "str", "def {g}({p}):\n    return {p}.group().upper()\n"),
    ("functools", "sorted({x}, key=functools.cmp_to_key({g}))", "list",
     "def {g}({p}, {q}):\n    return {p} % 7 - {q} % 7\n"),
    ("itertools", "list(itertools.starmap({g}, zip({x}, {x}[1:])))", "list",
     "def {g}({p}, {q}):\n    return {q} - {p}\n"),
    ("heapq", "heapq.nlargest(2, {x}, key={g})", "list", "def {g}({p}):\n    return abs({p} - {n})\n"),
)  # fmt: skip


def _draw_library(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw one call after the other; a later one takes what an earlier one gave."""
    calls, share = knobs["calls"], knobs["callbacks"]
    items, text = draw.numbers(draw.between(3, 5), 0, 40), draw.letters(draw.between(5, 8))
    x, s, a, *names = draw.names("list", "text", "int", *["total"] * calls, *["function"] * calls)
    s = "text" if s == "string" else s  # a module
    results, helpers = names[:calls], names[calls:]
    now = {"list": x, "str": s, "int": a}
    modules, defined, lines = set[str](), list[str](), list[str]()
    bound, size = 5, len(items)
    for result, helper in zip(results, helpers, strict=True):
        p, q = draw.names("item", "key")
        fill = {
            "x": now["list"], "s": now["str"], "a": now["int"], "n": draw.number(2, 40),
            "k": draw.between(2, 3),            "c": draw.pick("xyz-_"), "l": draw.letters(4),
            "w": draw.between(3, 5), "word": draw.word(), "g": helper, "p": p, "q": q,
        }  # fmt: skip
        if draw.chance(share):
            module, form, kind, definition = draw.pick(_CALLBACKS)
            defined.append(definition.format(**fill))
            bound += 1 + 4 * (size * size + 8)
        else:
            module, form, kind = draw.pick(TEXTS if draw.chance(0.4) else INTS)
            bound += 12
        size += 1
        modules.add(module)
        lines.append(f"    {result} = {form.format(**fill)}")
        if kind:
            now[kind] = result
    last = draw.pick((results[-1], f"{results[-1]}, {results[0]}", f"{results[-1]}, {now['int']}"))
    head = "".join(f"import {module}\n" for module in sorted(modules))
    parts = [*defined, f"def f({x}, {s}, {a}):\n" + "\n".join(lines) + f"\n    return {last}\n"]
    source = head + "\n\n" + "\n\n".join(parts)
    return Draft(
        source, f"f({items}, {text!r}, {draw.number(1, 40)})", bound + len(modules) + len(defined) + calls
    )


LIBRARY = Family(
    "library",
    "calls of the standard library, to step over; some call back",
    {
        "calls": Axis("number of calls", 4, 1, 10),
        "callbacks": Axis("share of the calls that call a function of the program", 0.3, 0, 1),
    },
    _draw_library,
)

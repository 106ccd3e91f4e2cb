"""Scripts: whole modules, run from their first line to their last, as `cwm-trace run script.py` records them.

Imports and constants, functions and classes and calls of them at module level, loops and `print` there, and
`if __name__ == '__main__':`. Like those of `methods` they are drawn out of forms and tried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family
from cwm_trace.datasets.generators.methods import ATTEMPTS, SENSELESS, most_lines, with_double_quotes
from cwm_trace.datasets.generators.script_classes import CLASSES
from cwm_trace.datasets.generators.script_functions import FUNCTIONS
from cwm_trace.datasets.generators.script_loops import LOOPS
from cwm_trace.datasets.generators.script_texts import TEXTS
from cwm_trace.datasets.generators.sketch import ARGUMENTS, Sketch, UnfitError, try_out
from cwm_trace.datasets.generators.sketch_statements import write_return, write_statement
from cwm_trace.datasets.names import NAMES

_BOUNDS = ("LIMIT", "N", "SIZE", "MAX", "TARGET", "START", "BASE", "GOAL")
_COMMENTS = (
    "# example",
    "# main loop",
    "# print the result",
    "# test",
    "# setup",
    "# count",
    "# data",
    "# run it",
)
_IMPORTS = (
    ("import math", "print(math.gcd({}, {}))", "int int"),
    ("import math", "print(math.sqrt({}))", "square"),
    ("import math", "print(math.floor({} / {}))", "int digit"),
    ("import math", "print(math.factorial({}))", "digit"),
    ("from math import prod", "print(prod({}))", "list"),
    ("from collections import Counter", "print(Counter({}).most_common(1))", "str"),
    ("from collections import Counter", "counts = Counter({})\nprint(counts['a'])", "str"),
    ("from collections import deque", "queue = deque({})\nqueue.append(queue.popleft())\nprint(queue)",
     "list"),
    ("from collections import defaultdict",
     "groups = defaultdict(list)\nfor w in {}:\n    groups[len(w)].append(w)\nprint(dict(groups))", "words"),
    ("import json", "print(json.dumps({}))", "dict"),
    ("import string", "for c in {}:\n    print(string.ascii_lowercase.index(c))", "word"),
    ("import itertools", "print(list(itertools.accumulate({})))", "list"),
    ("import sys", "print(len(sys.argv))", ""),
)  # fmt: skip
"""Imports, how they are used, and with what."""
INTS = {"digit": (1, 6), "small": (1, 4), "int": (1, 60)}
"""Kinds of ints that functions take, and their range."""


class Script:
    """A script that is being written.

    Args:
        draw: the source of randomness.
        sections: how much of it there is.
    """

    def __init__(self, draw: Draw, sections: int) -> None:
        self.draw = draw
        self.sections = sections
        self.imports: list[str] = []
        self.constants: list[str] = []
        self.definitions: list[str] = []
        self.sketch = Sketch(draw, share=0.2)
        """What is at module level behind the definitions."""

    def text(self) -> str:
        """All of it, laid out as PEP 8 has it."""
        head = ["\n".join(lines) for lines in (self.imports, self.constants) if lines]
        body = self.sketch.text()
        if not self.definitions:
            return "\n\n".join([*head, body])
        return "\n\n\n".join(["\n\n".join(head), *self.definitions, body]).lstrip("\n")


def _draw_scripts(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw scripts until one runs through."""
    for _ in range(ATTEMPTS):
        try:
            source = _write(draw, knobs["kind"], knobs["sections"])
        except UnfitError:
            continue
        rounds = None if SENSELESS.search(source) else try_out(source, "", knobs["rounds"], "__main__")
        if rounds is not None:
            return Draft(source, "", most_lines(source, rounds[0] + knobs["rounds"]))
    return Draft(f"print({draw.number(0, 99)})\n", "", 4)


def _write(draw: Draw, kind: str, sections: int) -> str:
    script = Script(draw, sections)
    use = ""
    if draw.chance(0.15):
        line, use, kinds = draw.pick(_IMPORTS)
        script.imports.append(line)
        use = use.format(*[repr(_value(script.sketch, each)) for each in kinds.split()])
    if draw.chance(0.2):
        name = draw.pick(_BOUNDS)
        script.sketch.scope[name] = "bound"
        script.constants.append(f"{name} = {draw.number(10, 40)}")
    _WRITERS[kind](script)
    if use:
        script.sketch.put(use)
    source = script.text()
    return with_double_quotes(source) if draw.chance(0.6) else source


def _value(sketch: Sketch, kind: str) -> Any:
    """An argument of a function."""
    draw = sketch.draw
    if kind in INTS:
        return draw.number(*INTS[kind])
    if kind == "square":
        return draw.pick((1, 4, 9, draw.number(2, 60)))
    if kind == "word":
        word = draw.word()[:3]
        return word if draw.allows(word) else word[:1]
    return sketch.value(kind)


def _write_sections(script: Script, forms: Sequence[str]) -> None:
    draw, sketch = script.draw, script.sketch
    for place, form in enumerate(draw.sample(forms, script.sections)):
        if place and draw.chance(0.6):
            sketch.put("")
        if draw.chance(0.1):
            sketch.put(draw.pick(_COMMENTS))
        sketch.write_pattern(form)


def _write_loops(script: Script) -> None:
    _write_sections(script, LOOPS)


def _write_texts(script: Script) -> None:
    _write_sections(script, TEXTS)


def _write_statements(script: Script) -> None:
    """Variables, then statements like those of `methods`, and prints."""
    draw, sketch = script.draw, script.sketch
    sketch.share = 0.85
    for kind in draw.sample(("str", "list", "words", "dict", "int", "int"), draw.between(1, 2)):
        literal = sketch.literal(kind)
        sketch.put(f"{sketch.declare(kind, ARGUMENTS)} = {literal}")
    for _ in range(script.sections + draw.between(0, 1)):
        write_statement(sketch)
        if any(line.lstrip().startswith("return ") for line in sketch.lines):
            raise UnfitError("return")
        if draw.chance(0.3):
            sketch.put(sketch.print_line(list(sketch.scope)[-1:]))
    sketch.put(sketch.print_line(list(sketch.scope)[-2:]))


def _define(script: Script) -> tuple[str, list[str]]:
    """Define a function; gives its name and the types of its arguments."""
    draw = script.draw
    if draw.chance(0.25):
        return _define_methods(script)
    kinds, pool, form = draw.pick(FUNCTIONS)
    inner = Sketch(draw)
    name = draw.pick(pool.split())
    names = {"$name": name}
    for place, kind in zip(("$p", "$q"), kinds.split(), strict=False):
        names[place] = inner.declare("int" if kind in INTS else kind, ARGUMENTS)
    names["$r"] = inner.new("total")
    inner.scope = {name: kind for name, kind in script.sketch.scope.items() if kind == "bound"}
    script.definitions.append(inner.fill(form, names, depth=0))
    return name, kinds.split()


def _define_methods(script: Script) -> tuple[str, list[str]]:
    """Define a function like those of `methods`."""
    draw = script.draw
    inner = Sketch(draw)
    kind = draw.pick(("str", "str", "list", "list", "words", "dict", "int"))
    argument = inner.declare(kind, ARGUMENTS)
    (name,) = draw.names("function")
    inner.put(f"def {name}({argument}):")
    inner.indent = 1
    for _ in range(draw.between(0, 2)):
        write_statement(inner)
    write_return(inner)
    script.definitions.append(inner.text().rstrip("\n"))
    return name, [kind]


def _call(sketch: Sketch, name: str, kinds: Sequence[str]) -> str:
    return f"{name}({', '.join(repr(_value(sketch, kind)) for kind in kinds)})"


def _write_calls(sketch: Sketch, name: str, kinds: Sequence[str]) -> None:
    """Call a function in one of the ways in which scripts do."""
    draw, share = sketch.draw, sketch.draw.random()
    if share < 0.35:
        for _ in range(draw.pick((1, 1, 2))):
            sketch.put(f"print({_call(sketch, name, kinds)})")
    elif share < 0.65:
        call = _call(sketch, name, kinds)
        result = sketch.declare("total")
        sketch.put(f"{result} = {call}")
        sketch.put(sketch.print_line([result]))
    elif share < 0.85 and len(kinds) == 1:
        item = sketch.new("index")
        values = ", ".join(repr(_value(sketch, kinds[0])) for _ in range(draw.between(2, 3)))
        sketch.put(f"for {item} in [{values}]:")
        sketch.put(f"    print({draw.pick(('', f'{item}, '))}{name}({item}))")
    else:
        arguments = []
        for kind in kinds:
            value = _value(sketch, kind)
            arguments.append(sketch.declare("int" if kind in INTS else kind, ARGUMENTS))
            sketch.put(f"{arguments[-1]} = {value!r}")
        sketch.put(f"print({name}({', '.join(arguments)}))")


def _write_functions(script: Script) -> None:
    """Functions, then calls of them."""
    defined: dict[str, list[str]] = {}
    for _ in range(script.sections):
        name, kinds = _define(script)
        if name in defined:
            raise UnfitError(name)
        defined[name] = kinds
    for name, kinds in defined.items():
        _write_calls(script.sketch, name, kinds)


def _write_calling(script: Script) -> None:
    """A function that a loop at module level calls."""
    draw, sketch = script.draw, script.sketch
    name, kinds = _define(script)
    if kinds not in (["int"], ["digit"], ["small"], ["str"], ["int", "int"]):
        raise UnfitError(name)
    total, item = sketch.declare("total"), sketch.new("index")
    values = [_value(sketch, kinds[0]) for _ in range(draw.between(2, 3))]
    use = f"{name}({item})" if len(kinds) == 1 else f"{name}({item}, {draw.number(1, 9)})"
    forms = [
        f"{total} = []\nfor {item} in {values}:\n    {total}.append({use})\nprint({total})",
        f"{total} = 0\nfor {item} in {values}:\n    if {use}:\n        {total} += 1\nprint({total})",
        f"for {item} in {values}:\n    {total} = {use}\n    print({item}, {total})",
        f"for {item} in range(1, {draw.between(3, 4)}):\n    print({use})",
    ]
    sketch.put(draw.pick(forms[:3] if kinds == ["str"] else forms))


def _write_classes(script: Script) -> None:
    """A class, and what is done with an object."""
    draw, sketch = script.draw, script.sketch
    text, demo = draw.pick(CLASSES)
    names = dict(zip(("$class", "$sub"), draw.names("class", "class"), strict=True))
    names |= zip(("$attribute", "$method", "$obj"), draw.names("attribute", "method", "object"), strict=True)
    names["$argument"] = draw.pick([name for name in NAMES["bound"] if name != names["$attribute"]])
    if "@dataclass" in text:
        script.imports.append("from dataclasses import dataclass")
    script.definitions.append(Sketch(draw).fill(text, names, depth=0))
    sketch.scope[names["$obj"]] = "object"
    sketch.write_pattern(demo, names)


def _write_main(script: Script) -> None:
    """A function `main` that is called under the guard, or its lines under the guard themselves."""
    draw, sketch = script.draw, script.sketch
    inner = Sketch(draw, share=0.2)
    inner.scope = dict(sketch.scope)
    inner.indent = 1
    if draw.chance(0.6):
        _write_calls(inner, *_define(script))
    else:
        inner.write_pattern(draw.pick(draw.pick((LOOPS, TEXTS))))
    body = inner.text().rstrip("\n")
    if draw.chance(0.75):
        script.definitions.append(f"def main():\n{body}")
        body = "    main()"
    sketch.put("if __name__ == '__main__':")
    sketch.put(body)


_WRITERS: dict[str, Callable[[Script], None]] = {
    "loops": _write_loops,
    "texts": _write_texts,
    "statements": _write_statements,
    "functions": _write_functions,
    "calling": _write_calling,
    "classes": _write_classes,
    "main": _write_main,
}

SCRIPTS = Family(
    "scripts",
    "whole modules, run from the first line to the last",
    {
        "kind": Axis("what they are made of", "loops", choices=tuple(_WRITERS)),
        "sections": Axis("loops, works on texts, functions or statements", 1, 1, 6),
        "rounds": Axis("rounds of all loops together, at the most", 12, 0, 400),
    },
    _draw_scripts,
)

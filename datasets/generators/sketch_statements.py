"""Statements of sketched programs: assignments, changes, conditions, loops that gather, returns."""

from __future__ import annotations

from collections.abc import Callable

from cwm_trace.datasets.generators.method_forms import EXPRESSIONS
from cwm_trace.datasets.generators.method_patterns import PATTERNS
from cwm_trace.datasets.generators.method_steps import CHANGES, LOOPS, STEPS
from cwm_trace.datasets.generators.notation import parse
from cwm_trace.datasets.generators.sketch import Sketch, UnfitError

KINDS = (
    "str", "str", "str", "str", "int", "int", "int", "list", "list", "list", "words", "words", "dict", "dict",
    "bool", "tally", "set", "tuple", "pairs", "rows", "groups", "table",
)  # fmt: skip
EMPTY = {
    "str": "''", "int": "0", "list": "[]", "words": "[]", "dict": "{}", "tally": "{}", "set": "set()",
    "groups": "{}", "table": "{}", "pairs": "[]", "rows": "[]",
}  # fmt: skip
_GATHERED = (
    "str", "str", "str", "int", "int", "int", "list", "list", "list", "words", "words", "dict", "dict",
    "tally", "set", "groups", "table", "pairs", "rows",
)  # fmt: skip

Statement = Callable[[Sketch], None]
"""Writes a statement, or raises `UnfitError`."""


def _write_assignment(sketch: Sketch) -> None:
    """A new variable, or a new value for an old one."""
    draw = sketch.draw
    kind = draw.pick(KINDS)
    text = sketch.expression(kind)
    old = [name for name in sketch.changeable({kind: ""}) if name != text]
    if old and draw.chance(0.35):
        sketch.put(f"{sketch.recent(old)} = {text}")
    else:
        sketch.put(f"{sketch.new(kind)} = {text}")
        sketch.scope[sketch.lines[-1].split()[0]] = kind


def write_change(sketch: Sketch) -> None:
    """A variable is changed."""
    names = sketch.changeable(CHANGES)
    if not names:
        raise UnfitError("change")
    name = sketch.recent(names)
    form = sketch.draw.pick(CHANGES[sketch.scope[name]])
    sketch.put(sketch.fill(form, {"@": name}, depth=0))


def _write_pattern(sketch: Sketch) -> None:
    """Some statements that belong together."""
    sketch.write_pattern(sketch.draw.pick(PATTERNS))


def write_if(sketch: Sketch) -> None:
    """`if`, perhaps with `elif` or `else`."""
    draw = sketch.draw
    sketch.put(f"if {sketch.expression('bool')}:")
    write_block(sketch, draw.pick((write_change, write_change, _write_assignment, write_return)))
    share = draw.random()
    if share < 0.15:
        sketch.put(f"elif {sketch.expression('bool')}:")
        write_block(sketch, write_change)
    if share < 0.5:
        sketch.put("else:")
        write_block(sketch, draw.pick((write_change, write_change, _write_assignment)))


def write_guard(sketch: Sketch) -> None:
    """An early return."""
    draw = sketch.draw
    names = [name for name, kind in sketch.scope.items() if kind in EMPTY]
    if names and draw.chance(0.5):
        name = draw.pick(names)
        form = (
            draw.pick(("not {}", "len({}) < 2", "len({}) == 0")) if sketch.scope[name] != "int" else "{} < 0"
        )
        sketch.put(f"if {form.format(name)}:")
        value = draw.pick((name, EMPTY[sketch.scope[name]], "None", "-1", "False"))
        sketch.put(f"    return {value}")
        return
    sketch.put(f"if {sketch.expression('bool')}:")
    write_block(sketch, write_return)


def write_return(sketch: Sketch) -> None:
    """Return a variable or something made of it."""
    draw = sketch.draw
    names = [name for name in sketch.scope if name.isidentifier()]
    name = names[-1] if draw.chance(0.4) else sketch.recent(names)
    kind = {"char": "str", "index": "int", "total": "int"}.get(sketch.scope[name], sketch.scope[name])
    share = draw.random()
    if share < 0.45 or kind not in EXPRESSIONS:
        text = name
    elif share < 0.6:
        text = sketch.expression(kind)
    elif share < 0.8:
        text = sketch.expression(draw.pick(KINDS))
    elif share < 0.86 and len(names) > 1:
        text = f"{name}, {sketch.recent(names)}"
    elif share < 0.9:
        text = f"{name} if {sketch.expression('bool')} else {draw.pick((*names, EMPTY.get(kind, 'None')))}"
    elif share < 0.95:
        text = sketch.expression("bool")
    else:
        text = draw.pick(("str({})", "[{}]", "len(str({}))", "f'{{{}}}'", "({}, 1)")).format(name)
    sketch.put(f"return {text}")


def _write_loop(sketch: Sketch) -> None:
    """A loop that gathers something in one or two variables."""
    draw = sketch.draw
    header, bound = draw.pick(LOOPS)
    names: dict[str, str] = {}
    header = sketch.fill(header, names, depth=0)
    gathered = [_gathered(sketch, draw.pick(_GATHERED)) for _ in range(1 + draw.chance(0.2))]
    before = dict(sketch.scope), set(sketch.fixed), list(sketch.near)
    kinds = dict(bound)
    bound_names = {hole.name: "" for hole in parse(header).holes}
    for label in bound_names:
        bound_names[label] = sketch.declare(kinds[label])
    names |= bound_names
    sketch.put(sketch.fill(header, names))
    sketch.near = []
    for what, kind in bound:
        name = sketch.fill(what, names)
        sketch.scope[name] = kind
        sketch.near.append(name)
    sketch.fixed |= {name for name in before[0] if name in header} | set(bound_names.values())
    sketch.indent += 1
    _write_body(sketch, gathered)
    sketch.indent -= 1
    sketch.scope, sketch.fixed, sketch.near = before


def _gathered(sketch: Sketch, kind: str) -> str:
    """A variable of this type that a loop fills: one that is there, or a new one."""
    draw = sketch.draw
    old = sketch.changeable({kind: ""})
    if old and draw.chance(0.25):
        return sketch.recent(old)
    start = EMPTY[kind]
    if kind == "int" and draw.chance(0.2):
        start = draw.pick(("1", "-1", str(draw.number(1, 20))))
    name = sketch.new("total" if kind == "int" and draw.chance(0.5) else kind)
    sketch.put(f"{name} = {start}")
    sketch.scope[name] = kind
    return name


def _write_body(sketch: Sketch, gathered: list[str]) -> None:
    draw = sketch.draw
    share = draw.random()
    if share < 0.1:
        sketch.put(f"if {_condition(sketch)}:")
        sketch.put("    continue")
    elif share < 0.17:
        kind = draw.pick(("str", "int", "int", "str", "list", "bool"))
        text = sketch.expression(kind)
        sketch.scope[name := sketch.new(kind)] = kind
        sketch.put(f"{name} = {text}")
        sketch.near.append(name)
    for name in gathered:
        share = draw.random()
        if share < 0.4:
            _step(sketch, name)
            continue
        sketch.put(f"if {_condition(sketch)}:")
        _step(sketch, name, 1)
        if share < 0.65:
            sketch.put("else:")
            _step(sketch, draw.pick(gathered), 1)
        elif share < 0.72:
            sketch.put(f"elif {_condition(sketch)}:")
            _step(sketch, draw.pick(gathered), 1)
    share = draw.random()
    if share < 0.08:
        sketch.put(f"if {sketch.expression('bool', 0)}:")
        sketch.put("    break")
    elif share < 0.13:
        sketch.put(f"if {_condition(sketch)}:")
        write_block(sketch, write_return)


def _condition(sketch: Sketch) -> str:
    """A condition, rather one on what the loop binds."""
    for _ in range(6):
        text = sketch.expression("bool", 0)
        if any(name in text for name in sketch.near):
            return text
    return sketch.expression("bool", 0)


def _step(sketch: Sketch, name: str, deeper: int = 0) -> None:
    """What the loop does to a variable, in most cases with what it binds."""
    kind = sketch.scope[name]
    forms = STEPS["int" if kind in ("total", "index") else kind]
    text = ""
    for _ in range(8):
        try:
            text = sketch.fill(sketch.draw.pick(forms), {"@": name}, depth=0)
        except UnfitError:
            continue
        if any(item in text for item in sketch.near):
            break
    if not text:
        raise UnfitError(kind)
    sketch.indent += deeper
    sketch.put(text)
    sketch.indent -= deeper


def write_block(sketch: Sketch, statement: Statement) -> None:
    """One statement, whose new variables are not there behind it."""
    scope = dict(sketch.scope)
    sketch.indent += 1
    statement(sketch)
    sketch.indent -= 1
    sketch.scope = scope


STATEMENTS: tuple[Statement, ...] = (
    _write_assignment, _write_assignment, _write_assignment, write_change, write_change,
    _write_loop, _write_loop, _write_loop, _write_pattern, _write_pattern, write_if,
)  # fmt: skip


def write_statement(sketch: Sketch) -> None:
    """Some statement; what was written of one that does not fit is taken back."""
    for _ in range(12):
        lines, scope, indent = len(sketch.lines), dict(sketch.scope), sketch.indent
        fixed, near = set(sketch.fixed), list(sketch.near)
        try:
            sketch.draw.pick(STATEMENTS)(sketch)
            return
        except UnfitError:
            del sketch.lines[lines:]
            sketch.scope, sketch.indent, sketch.fixed, sketch.near = scope, indent, fixed, near

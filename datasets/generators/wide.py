"""Wide programs: general ones with every other statement of a function's body, for property tests.

They end for the same reasons, within `MAX_LINE_EVENTS`. Unlike families, what they are may change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family, flag
from cwm_trace.datasets.generators.definitions import DEFINITIONS, finish, take_name
from cwm_trace.datasets.generators.forms import LONGEST, Form
from cwm_trace.datasets.generators.general import ARGUMENTS, INNER
from cwm_trace.datasets.generators.general_statements import (
    EMPTY,
    write_change,
    write_exit,
    write_inner,
    write_match,
    write_some,
)
from cwm_trace.datasets.generators.general_writer import Statement, Writer
from cwm_trace.datasets.generators.loops import MOST, write_while
from cwm_trace.datasets.generators.notation import Hole, is_spaced, parse
from cwm_trace.datasets.generators.wide_statements import (
    CAUGHT,
    JUMPS,
    RAISING,
    RISKY,
    SAFE,
    STATEMENTS,
)

MAX_LINE_EVENTS = 4_000
"""No wide program causes more ``line`` events than this, importing it included."""

_BUDGET = 1_500
_NESTING = 3
_ARGUMENTS = (*ARGUMENTS, "dict", "dict", "words", "set", "bool", "maybe")
_RESULTS = ("int", "str", "list", "bool", "words", "dict", "float", "pair", "set", "maybe")
_LINE = 3  # depth of what stands in a line of a statement itself
_BLOCKS = {"<block>": 1, "<loop>": 6, "<live>": LONGEST}


@lru_cache(maxsize=1024)
def _parse_line(line: str) -> Form:
    return Form(parse(line), (), 0, 3 if "<x>" in line else 0, False, False)


class WideWriter(Writer):
    """Writes a wide program.

    Args:
        draw: the source of randomness.
        raises: whether anything may raise.
    """

    def __init__(self, draw: Draw, raises: bool) -> None:
        other = [lambda _: self.write_other()] * len(INNER)
        super().__init__(
            draw, _BUDGET, _NESTING, (*INNER, *(write_change,) * 3, *other), RISKY if raises else SAFE
        )
        self.raises = raises
        self.statements = [*STATEMENTS, *(RAISING,) * 4 * raises]
        self.bound: list[tuple[str, str]] = []
        """Names and types of what the current line binds."""
        self.in_f = False

    def part(self, hole: Hole, depth: int, names: Mapping[str, str]) -> tuple[str, int]:
        """What goes into a hole, and its size; a line's own holes are rather expressions than variables."""
        kind = hole.kind
        if hole.role == "$":
            name = self.new(kind)
            self.types[name] = ""  # taken, but nothing to read yet
            self.bound.append((name, "int" if kind == "index" else kind))
            return name, 0
        if hole.role == "@":
            return self.recent(self.own(kind)), 0
        if kind == "caught":
            return self.draw.pick(CAUGHT), 0
        if depth == _LINE and not hole.role and kind in self.table.forms:
            text, size = self.expression(kind)
            return (f"({text})" if is_spaced(text) and not hole.bare else text), size
        return super().part(hole, depth, names)

    def expression(self, kind: str, depth: int = 2, longest: int = LONGEST) -> tuple[str, int]:
        """An expression of a type, and its size; often a plain one."""
        return super().expression(kind, depth, longest) if self.draw.below(4) else self.atom(kind)

    def operand(self, kind: str, depth: int, bare: bool) -> tuple[str, int]:
        """What goes into a hole: no more than can be afforded."""
        before = self.cost
        filled = super().operand(kind, depth, bare)
        if self.cost <= self.budget:
            return filled
        self.cost = before
        return self.atom(kind)

    def literal(self, kind: str, name: str = "") -> str:
        """A constant."""
        if kind == "gen":
            return "iter((1, 2))"
        return self.draw.pick(("None", "0", "3")) if kind == "maybe" else super().literal(kind, name)

    def put(self, line: str, times: int | None = None) -> None:
        """Write a line and charge for it, and for each that it goes on in."""
        self.cost += line.count("\n") * (self.times if times is None else times)
        super().put(line.replace("\n", "\n" + "    " * self.indent), times)

    def write_block(self, write: Callable[[], None], times: int = 1, frozen: Sequence[str] = ()) -> None:
        """Write a block; what must not change there must not do so by another name either."""
        super().write_block(write, times, [*frozen, *self.shared] if self.shared & set(frozen) else frozen)

    def write_return(self) -> None:
        """Return something that shows no address."""
        self.put(f"return {self.expression(self.draw.pick(_RESULTS), 2, 10_000)[0]}")

    def write_other(self) -> None:
        """A statement that general programs leave out."""
        choices = [JUMPS] * self.in_loop + self.statements
        if self.in_f and self.draw.chance(0.1):
            write_exit(self)
            return
        fitting = [text for text in self.draw.pick(choices) if self.fits(text)]
        if fitting:
            self.write_statement(self.draw.pick(fitting))

    def fits(self, text: str) -> bool:
        """Whether the program can have a statement here."""
        for hole in parse(text).holes:
            if hole.role == "=" and not self.variables(hole.kind):
                return False
            if hole.role == "@" and not self.own(hole.kind):
                return False
        rounds = max((times for mark, times in _BLOCKS.items() if mark in text), default=0)
        if "    " not in text or not (rounds or text.startswith("if")):
            return True
        return (
            self.indent <= self.nesting
            and self.times * rounds <= MOST
            and self.affords(4 * max(rounds, 1) + 12)
        )

    def write_statement(self, text: str) -> None:
        """Write a statement, with the blocks inside it."""
        names: dict[str, str] = {}
        rounds = max((times for mark, times in _BLOCKS.items() if mark in text), default=1)
        indent, times, outer = self.indent, self.times, self.bound
        self.bound = []
        for line in text.split("\n"):
            code = line.lstrip()
            self.indent = indent + (len(line) - len(code)) // 4
            if code in _BLOCKS:
                self.indent -= 1
                bound, self.bound = self.bound, []
                self.write_block(partial(self._write_inside, bound), _BLOCKS[code], list(names.values()))
                for name, _ in bound:
                    del self.types[name]
                continue
            self.times = times * (rounds + 1 if rounds > 1 else 1)
            self.put(self.fill(_parse_line(code), _LINE, names)[0])
            if code.startswith("with "):
                self.cost += _GUARD_LINES * self.times * code.count("<str>")
            self.times = times
            if code.startswith("del $"):
                self.types.pop(names.get(code[4:], ""), None)
            if not code.endswith(":"):
                self._declare(self.bound)
                self.bound = []
        self.indent, self.bound = indent, outer

    def _declare(self, bound: list[tuple[str, str]]) -> None:
        for name, kind in bound:
            self.declare(kind, LONGEST if kind in EMPTY and kind != "int" else 0, name)

    def _write_inside(self, bound: list[tuple[str, str]]) -> None:
        self._declare(bound)
        write_some(self)

    def write_alias(self) -> None:
        """Another name of a container."""
        names = [name for name, kind in self.types.items() if kind in ("list", "dict", "set", "words")]
        if names and self.indent == 1:
            name = self.recent(names)
            other = self.declare(self.types[name], self.sizes[name])
            self.put(f"{other} = {name}")
            self.shared |= {name, other}

    def write_default(self) -> None:
        """A function inside the function, with a default."""
        if self.indent > 1:
            return
        name, step = take_name(self, "inner"), self.expression("int", 1)[0]
        self.put(f"def {name}({self.x}, step={step}):")
        for line in (f"    if {self.x} > step:", "        return step", f"    return {self.x} + step"):
            self.put(line, 0)
        self.add_callee("int", f"{name}({{}})", ("int",), 3)
        self.add_callee("list", f"list(map({name}, {{}}))", ("list",), 5 * LONGEST, LONGEST)

    # what is defined before f

    def _define(self, text: str) -> None:
        self.lines += text.split("\n")
        self.cost += text.count("\n")
        finish(self)

    def define_guard(self) -> None:
        """A context manager."""
        name = take_name(self, "class")
        swallows = self.draw.pick(("False", "kind is ValueError")) if self.raises else "False"
        self._define(_GUARD.format(name=name, swallows=swallows))
        entered = (
            f"{name}(<str>)",
            f"{name}(<str>) as $guard:g",
            f"{name}(<str>), {name}(<str>) as $guard:g",
        )
        self.statements += [tuple(f"with {guard}:\n    <block>" for guard in entered)] * 2

    def define_point(self) -> None:
        """A class with attributes, a method and a `__repr__`."""
        name = take_name(self, "class")
        self._define(_POINT.format(name=name))
        made = f"$point:p = {name}(<int>, <list>)"
        self.starts.append(lambda _: self.write_statement(made))
        matched = f"case {name}(n=0):\n        <block>\n    case {name}(xs=[$int:n, *_]):\n        <block>"
        self.statements += [(made, f"match <=point>:\n    {matched}", f"match <=point>:\n    {matched}")] * 2

    def define_counter(self) -> None:
        """A global counter and the function that moves it."""
        name = take_name(self, "function")
        self._define(
            f"total = 0\n\n\ndef {name}(step):\n    global total\n    total += step % 10\n    return total"
        )
        self.add_callee("int", f"{name}({{}})", ("int",), 3)

    def define_generator(self) -> None:
        """A generator function of up to five items."""
        name = take_name(self, "generator")
        self._define(_GENERATOR.format(name=name))
        self.add_callee("gen", f"{name}({{}}, {{}})", ("int", "str"), 20)


_GUARD = """\
class {name}:
    def __init__(self, label):
        self.label = label

    def __enter__(self):
        print('enter', self.label)
        return self

    def __exit__(self, kind, error, trace):
        print('exit', kind and kind.__name__)
        return {swallows}"""
_POINT = """\
class {name}:
    def __init__(self, n, xs):
        self.n = n
        self.xs = xs

    def shift(self, n):
        self.n += n % 10
        return self.n * 2

    def __repr__(self):
        return f'{name}({{self.n}}, {{self.xs}})'"""
_GUARD_LINES = 5  # to enter and to leave it
_GENERATOR = """\
def {name}(n, s):
    for i in range(n % 4):
        yield i + len(s)
        s = s[1:]
    yield from (len(s), n)"""


def _draw_wide(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the functions and classes that `f` may use, then `f`."""
    writer = WideWriter(draw, knobs["raises"])

    def define_general() -> None:
        draw.pick(DEFINITIONS)(writer)

    def maybe(define: Callable[[], None]) -> None:
        if draw.below(4) == 3:
            define()

    for define in (
        define_general,
        define_general,
        writer.define_guard,
        writer.define_point,
        writer.define_counter,
        writer.define_generator,
    ):
        draw.apart(partial(maybe, define))
    arguments: dict[str, str] = {}

    def add_argument() -> None:
        if draw.below(2):
            name = writer.declare(draw.pick(_ARGUMENTS))
            arguments[name] = writer.literal(writer.types[name], name)

    for _ in range(3):
        draw.apart(add_argument)
    writer.put(f"def f({', '.join(arguments)}):")
    writer.indent, writer.in_f = 1, True
    for start in writer.starts:
        start(writer)
    own: tuple[Statement, ...] = (lambda _: writer.write_alias(), lambda _: writer.write_default())
    outer = (*writer.inner, *(write_while, write_match, write_inner, write_inner, *own) * 2)
    for _ in range(knobs["statements"]):
        if writer.cost > _BUDGET or not draw.below(knobs["statements"] + 1):
            break
        draw.apart(lambda: draw.pick(outer)(writer))
    writer.write_return()
    return Draft(writer.text(), f"f({', '.join(arguments.values())})", writer.cost + 10)


WIDE = Family(
    "wide",
    "general programs with every other statement of a function's body",
    {
        "statements": Axis("statements of f, those inside others not counted", 12, 1, 10_000),
        "raises": flag("whether anything may raise", True),
    },
    _draw_wide,
    outcomes=("returned", "raised"),
)

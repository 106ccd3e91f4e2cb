"""Writes programs of the grammar, whoever makes the choices: a seed, or Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from cwm_trace.datasets.generators.wide_grammar import (
    BLOCKS,
    BUDGET,
    DEPTH,
    EXPRESSIONS,
    GUARD,
    LITERALS,
    LONGEST,
    NAMES,
    RAISE,
    RAISING,
    STATEMENTS,
    TIMES,
    USUAL,
    VALUES,
    Cost,
    Form,
    Hole,
    Scope,
    forms,
    parse,
)

if TYPE_CHECKING:
    from hypothesis.vendor.pretty import RepresentationPrinter

MAX_LINE_EVENTS = 4_000
"""No drawn program causes more ``line`` events than this, importing it included."""

T = TypeVar("T")


class Chooser(Protocol):
    """Makes the choices; the first option is the simplest."""

    def below(self, size: int) -> int:
        """An int from 0 to `size - 1`."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""

    def apart(self, write: Callable[[], None]) -> None:
        """Write a part of a program that could as well be left out."""


@dataclass(frozen=True, slots=True, repr=False)
class DrawnProgram:
    """A drawn program.

    Attributes:
        source: Module source; it defines ``f``, and what ``f`` uses. Ends in a newline.
        call: A call of ``f`` with literal arguments, such as ``f(3, [1, 2], 'ab')``.
    """

    source: str
    call: str

    def __str__(self) -> str:
        return f"{self.source}\n\n{self.call}\n"

    def __repr__(self) -> str:
        return f"DrawnProgram(call={self.call!r}, source=\n{self.source})"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Show Hypothesis the source as it is: its own form of a dataclass has it on one line."""
        printer.text("..." if cycle else repr(self))


_RAISING_EXPRESSIONS = {kind: [*usual, *RAISING.get(kind, ()) * 2] for kind, usual in EXPRESSIONS.items()}


class ProgramWriter:
    """Writes one program, line by line.

    Args:
        chooser: makes the choices.
        raises: whether expressions and statements may raise.
    """

    def __init__(self, chooser: Chooser, raises: bool = True) -> None:
        self.choose = chooser.pick
        self.below = chooser.below
        self.apart = chooser.apart
        self.raises = raises
        self.lines: list[str] = []
        self.spent = Cost()
        self.mutated = False
        self.left = 0  # statements that may still be drawn
        self.numbers: dict[str, int] = {}
        self.calls: dict[str, list[Form]] = {}  # of the functions and classes of this program
        self.expressions = _RAISING_EXPRESSIONS if raises else EXPRESSIONS
        self.statements = {**STATEMENTS, "raise": RAISE} if raises else STATEMENTS

    def new_name(self, kind: str) -> str:
        """A name that nothing has yet."""
        prefix = NAMES.get(kind, kind.lower())
        self.numbers[prefix] = self.numbers.get(prefix, 0) + 1
        return f"{prefix}{self.numbers[prefix]}"

    def charge(self, form: Form, scope: Scope) -> None:
        """Spend what running a form may cost."""
        self.spent.charge(form.cost, scope.times)
        self.mutated |= form.mutates

    def admits(self, form: Form, scope: Scope) -> bool:
        """Whether the program can afford the form here, the variables that it needs apart."""
        return (
            self.spent.affords(form.cost, scope.times)
            and not (form.mutates and scope.frozen)
            and not (form.calls and scope.pure)
            and not (form.blocks and (scope.depth >= DEPTH or self.left < len(form.blocks)))
            and all(scope.times * times <= TIMES for times in form.blocks)
        )

    def expression(self, kind: str, scope: Scope, depth: int, bare: bool = True) -> str:
        """Draw an expression of a type, in parentheses if it needs them."""
        if depth and (form := self.draw_form(kind, scope)):
            self.charge(form, scope)
            labels: dict[str, str] = {}
            text = "\n".join(" " * n + self.fill(row, scope, depth - 1, labels, []) for n, row in form.rows)
            return f"({text})" if form.compound and not bare else text
        names = scope.names("var", kind)
        name = self.choose(["", *names, *names]) if names else ""
        return name or self.choose(LITERALS.get(kind, (f"{kind}(0, [])",)))

    def draw_form(self, kind: str, scope: Scope) -> Form | None:
        """Draw a form for an expression of a type, or none: a literal or a variable will do."""
        source = self.choose(("leaf", "usual", "usual", "usual", "calls"))
        if source == "leaf":
            return None
        usual = self.expressions.get(kind, [])
        candidates = self.calls.get(kind, usual) if source == "calls" else usual
        form: Form | None = self.choose(candidates) if candidates else None
        if form and form.needs <= scope.offers() and self.admits(form, scope):
            return form
        return None

    def fill(
        self,
        row: Iterable[str | Hole],
        scope: Scope,
        depth: int,
        labels: dict[str, str],
        bound: list[tuple[str, str]],
    ) -> str:
        """Fill the holes of one line. New variables go to `bound`: they exist once the line has run."""
        text = ""
        for part in row:
            if isinstance(part, str):
                text += part
                continue
            if part.type in labels:
                filled = labels[part.type]
            else:
                filled = self.fill_hole(part, scope, depth, bound)
            if part.label:
                labels[part.label] = filled
            text += filled
        return text

    def fill_hole(self, hole: Hole, scope: Scope, depth: int, bound: list[tuple[str, str]]) -> str:
        """Draw what stands in a hole."""
        kind = scope.result if hole.type == "result" else hole.type
        if hole.role in ("own", "var"):
            name = self.choose(scope.names(hole.role, kind))
            if kind == "doomed":
                scope.unbind(name)
            return name
        if hole.role in ("let", "new"):
            taken = [name for name, _ in bound]
            names = (
                [name for name in scope.names("own", kind) if name not in taken] if hole.role == "let" else []
            )
            name = self.choose(["", *names]) if names else ""
            bound.append((name or self.new_name(kind), kind))
            return bound[-1][0]
        if hole.binds:
            variables = {**scope.variables, hole.name: hole.name_type}
            scope = replace(scope, variables=variables, frozen=True, pure=scope.pure or hole.binds == "of")
            scope.times *= LONGEST if hole.binds == "with" else 1
            depth = min(depth, 1)
        return self.expression(kind, scope, depth, hole.bare)

    def write(self, text: str, scope: Scope, indent: int) -> None:
        """Write a line, and charge for two line events: lines with brackets and headers are visited again."""
        self.lines.append(" " * indent + text.replace("\n", "\n" + " " * indent))
        self.spent.lines += 2 * scope.times * (1 + text.count("\n"))

    def write_statement(self, scope: Scope, indent: int) -> None:
        """Draw a statement, with the blocks inside it."""
        offers = scope.offers()
        fitting: dict[str, list[Form]] = {}
        for kind, candidates in self.statements.items():
            if found := [form for form in candidates if form.needs <= offers and self.admits(form, scope)]:
                fitting[kind] = found
        form = self.choose(fitting[self.choose([*fitting, *(kind for kind in USUAL if kind in fitting)])])
        self.left -= 1
        self.charge(form, scope)
        labels: dict[str, str] = {}
        bound: list[tuple[str, str]] = []
        for offset, row in form.rows:
            if row[0] in BLOCKS:
                times = BLOCKS[str(row[0])]
                self.spent.lines += 2 * scope.times * times
                block = scope.block(times)
                for name, kind in bound:
                    block.bind(name, kind)
                self.write_block(block, indent + offset)
                bound = []
                continue
            text = self.fill(row, scope, 2, labels, bound)
            self.write(text, scope, indent + offset)
            if not text.endswith(":") or text.startswith("def "):
                for name, kind in bound:
                    scope.bind(name, kind)
                bound = []

    def write_block(self, scope: Scope, indent: int, limit: int = 3) -> None:
        """Draw a few statements; `pass` where the program can afford none."""
        count = 0
        while self.left > 0 and count < limit and self.spent.lines < BUDGET.lines:
            if count and not self.below(limit):
                break
            self.apart(lambda: self.write_statement(scope, indent))
            count += 1
        if not count:
            self.write("pass", scope, indent)

    def write_function(self, header: str, scope: Scope, ending: Sequence[str], indent: int = 0) -> Form:
        """Draw a function: a few statements, then the ending; give a form with the cost of a call."""
        spent, mutated, self.mutated = self.spent, self.mutated, False
        start = Cost(
            BUDGET.lines - 250, BUDGET.doublings - 8, BUDGET.growth - 2
        )  # what is left, one call may cost
        self.spent, self.left = replace(start), 3
        self.write(header, scope, indent)
        self.write_block(scope, indent + 4, limit=2)
        for line in ending:
            self.write(self.fill(parse(line), scope, 2, {}, []), scope, indent + 4)
        spend = self.spent
        cost = (spend.lines - start.lines, spend.doublings - start.doublings, spend.growth - start.growth)
        form = Form("", Cost(*cost), self.mutated, calls=True)
        self.spent, self.mutated = spent, mutated
        return form

    def add_call(self, kind: str, text: str, like: Form, times: int = 1) -> None:
        """Let expressions of a type call a function, at up to `times` its cost."""
        cost = Cost()
        cost.charge(like.cost, times)
        self.calls.setdefault(kind, []).append(Form(text, cost, like.mutates, calls=True))

    def define_helper(self) -> None:
        """A function that `f` may call."""
        kinds = [self.choose(VALUES) for _ in range(1 + self.below(2))]
        variables = {self.new_name(kind): kind for kind in kinds}
        result, name = self.choose(VALUES), self.new_name("helper")
        scope = Scope(variables, set(variables), result)
        form = self.write_function(f"def {name}({', '.join(variables)}):", scope, ["return <result>"])
        self.add_call(result, f"{name}({', '.join(f'<{kind}>' for kind in kinds)})", form)

    def define_recursion(self) -> None:
        """A function that calls itself with a smaller argument."""
        scope = Scope({"n": "index", "xs": "ints"}, {"xs"}, "int")
        ending = ["if n <= 0:", "    return <int>", "return <int> + descend(n - 1, <ints>)"]
        form = self.write_function("def descend(n, xs):", scope, ending)
        form.cost.doublings += 1
        self.add_call("int", "descend(<int> % 4, <ints>)", form, times=4)

    def define_generator(self) -> None:
        """A generator function of up to five items."""
        scope = Scope({"n": "int", "s": "str"}, {"n", "s"}, frozen=True)
        ending = ["for i in range(n % 4):", "    yield <int>", "    s = s[1:]", "yield from <ints>[:2]"]
        self.add_call(
            "gen", "produce(<int>, <str>)", self.write_function("def produce(n, s):", scope, ending), times=4
        )

    def define_counter(self) -> None:
        """A global counter and the function that moves it."""
        scope = Scope({"step": "int", "total": "int"}, {"step"}, "int")
        self.lines += ["total = 0", "", ""]
        ending = ["global total", "total += step % 10", "return total"]
        form = self.write_function("def tick(step):", replace(scope, variables={"step": "int"}), ending)
        self.add_call("int", "tick(<int>)", form)

    def define_point(self) -> None:
        """A class with attributes, a method and a `__repr__`."""
        self.define_class("Point")
        self.lines.append("")
        self.write("def __repr__(self):", Scope({}, set()), 4)
        self.write("return f'Point({self.n}, {self.xs})'", Scope({}, set()), 8)
        self.add_call("str", "f'{<var Point>}'[:12]", Form(""))
        patterns = "case Point(n=0):\n        <block>\n    case Point(xs=[<new int>, *_]):\n        <block>"
        self.statements = {**self.statements, "match Point": forms(f"match <Point>:\n    {patterns}")}

    def define_box(self) -> None:
        """A class without `__repr__`."""
        self.define_class("Box")

    def define_class(self, name: str) -> None:
        """A class with two attributes and a method that may change them."""
        scope = Scope({"self.n": "int", "self.xs": "ints", "n": "int"}, {"self.n", "self.xs", "n"}, "int")
        self.lines += [
            f"class {name}:",
            "    def __init__(self, n, xs):",
            "        self.n = n",
            "        self.xs = xs",
            "",
        ]
        form = self.write_function(
            "def shift(self, n):", scope, ["self.n += n % 10", "return <result>"], indent=4
        )
        self.add_call(name, f"{name}(<int>, <ints>)", Form("", Cost(lines=6)))
        self.add_call("int", f"<var {name}>.n", Form(""))
        self.add_call("ints", f"<var {name}>.xs", Form(""))
        self.add_call("int", f"<var {name}>.shift(<int>)", form)
        self.statements = {**self.statements, name: forms(f"<let {name}> = <{name}>", calls=True)}

    def define_guard(self) -> None:
        """A context manager."""
        swallows = self.choose(("False", "kind is ValueError")) if self.raises else "False"
        self.lines += GUARD.format(swallows=swallows).split("\n")
        self.add_call("str", "<var Guard>.label", Form(""))
        withs = ("with Guard(<str>):\n    <block>", "with Guard(<str>) as <new Guard>:\n    <block>",
                 "with Guard(<str>), Guard(<str>) as <new Guard>:\n    <block>")  # fmt: skip
        self.statements = {**self.statements, "with": forms(*withs, lines=16)}

    def write_definition(self, define: Callable[[], None]) -> None:
        """Draw a definition, or leave it out."""
        if self.below(4) == 3:
            define()
            self.lines += ["", ""]

    def write_program(self, max_statements: int) -> DrawnProgram:
        """Draw the definitions, then `f`."""
        definitions = (
            self.define_helper,
            self.define_helper,
            self.define_recursion,
            self.define_generator,
            self.define_counter,
            self.define_point,
            self.define_box,
            self.define_guard,
        )
        for define in definitions:
            self.apart(partial(self.write_definition, define))
        variables: dict[str, str] = {}
        arguments: list[str] = []
        while len(arguments) < 4 and self.below(3):
            kind = self.choose(VALUES)
            variables[self.new_name(kind)] = kind
            arguments.append(self.choose(LITERALS[kind]))
        result = self.choose((*VALUES, *(kind for kind in ("Point",) if kind in self.calls)))
        scope = Scope(variables, set(variables), result)
        self.left = max_statements
        self.write(f"def f({', '.join(variables)}):", scope, 0)
        self.write_block(scope, 4, limit=max_statements)
        self.write(f"return {self.expression(result, scope, 2)}", scope, 4)
        return DrawnProgram("\n".join(self.lines) + "\n", f"f({', '.join(arguments)})")

"""The writer of general programs: what is in scope, how big it may be, what the program costs so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.generators.forms import GENERAL, LONGEST, READABLE, Form, Table, fitting_forms
from cwm_trace.datasets.generators.notation import Hole
from cwm_trace.datasets.names import NAMES

_ROLES = {
    "str": "text",
    "bool": "flag",
    "pair": "item",
    "count": "bound",
    "gen": "generator",
    "maybe": "item",
    "guard": "object",
    "point": "object",
}  # names, where not called as the type
NESTED = 0.3  # share of the operands that are no variable or constant
_SIZED = frozenset(("str", "list", "words", "dict", "set", "tally"))


class Callee(NamedTuple):
    """A function of the program.

    Attributes:
        text: the call, with `{}` for each argument.
        arguments: their types.
        cost: line events of a call, at the most.
        size: of the result.
    """

    text: str
    arguments: tuple[str, ...]
    cost: int
    size: int


Statement = Callable[["Writer"], None]
"""Writes a statement, or nothing where none fits."""


class Writer:
    """Writes one program, line by line.

    Args:
        draw: the source of randomness.
        budget: line events of the whole run, at the most.
        nesting: blocks inside blocks.
        inner: writers of the statements of a block.
        table: the expressions.
    """

    def __init__(
        self, draw: Draw, budget: int, nesting: int, inner: Sequence[Statement], table: Table = GENERAL
    ) -> None:
        self.draw = draw
        self.table = table
        self.inner = inner
        self.budget = budget
        self.nesting = nesting
        self.lines: list[str] = []
        self.indent = 0
        self.times = 1  # how often the current line runs, at the most
        self.cost = 0
        self.in_loop = False
        self.types: dict[str, str] = {}  # of the variables in scope, the latest last
        self.sizes: dict[str, int] = {}
        self.frozen: set[str] = set()  # may not be assigned to or changed
        self.grown: dict[str, int] = {}  # accumulators of the innermost loop: items they may still gain
        self.shared: set[str] = set()  # have another name, or are a caller's
        self.starts: list[Statement] = []  # the first statements of f
        self.callees: dict[str, list[Callee]] = {}
        self.x = draw.pick(("x", "v", "e", "item", "w"))
        self.taken: set[str] = {self.x, "i", "v", "k", "a", "b"}

    def text(self) -> str:
        """The module so far."""
        return "\n".join(self.lines) + "\n"

    def put(self, line: str, times: int | None = None) -> None:
        """Write a line and charge for it."""
        self.lines.append("    " * self.indent + line)
        self.cost += self.times if times is None else times

    def affords(self, lines: int) -> bool:
        """Whether the program may run so many more lines each time it comes here."""
        return self.cost + lines * self.times <= self.budget

    def new(self, kind: str) -> str:
        """A name that is not in use."""
        pool = NAMES[_ROLES.get(kind, kind)]
        name = self.draw.pick(pool)
        for _ in range(12):
            if name not in self.types and name not in self.taken:
                return name
            name = self.draw.pick(pool if self.draw.chance(0.5) else NAMES["total"])
        number = 2
        while f"{name}{number}" in self.types:
            number += 1
        return f"{name}{number}"

    def new_pair(self, one: str, two: str) -> tuple[str, str]:
        """Two names that are not in use."""
        first = second = self.new(one)
        while second == first:
            second = self.new(two)
        return first, second

    def declare(self, kind: str, size: int = 0, name: str = "") -> str:
        """Bring a variable into scope."""
        name = name or self.new(kind)
        self.types.pop(name, None)
        self.types[name] = kind
        self.sizes[name] = size
        self.shared.discard(name)
        return name

    def variables(self, kind: str) -> list[str]:
        """Variables that can be read as a type."""
        kinds = READABLE.get(kind, (kind,))
        return [name for name, its in self.types.items() if its in kinds]

    def own(self, kind: str) -> list[str]:
        """Variables of a type that may be assigned to."""
        return [name for name, its in self.types.items() if its == kind and name not in self.frozen]

    def recent(self, names: Sequence[str]) -> str:
        """One of the names, rather a late one."""
        place = self.draw.random()
        return names[len(names) - 1 - int(place * place * len(names))]

    def literal(self, kind: str, name: str = "") -> str:
        """A constant; its size becomes that of the variable, if one is named."""
        draw = self.draw
        if kind == "int":
            return str(draw.number(*draw.pick(((0, 9), (-9, 30), (10, 99)))))
        if kind == "count":
            self.sizes[name] = size = draw.between(2, 6)
            return str(size)
        if kind == "str":
            text = self._text()
            self.sizes[name] = len(text)
            return repr(text)
        if kind == "list":
            items = draw.numbers(draw.between(3, 6), -9, 40)
            self.sizes[name] = len(items)
            return str(items)
        if kind == "words":
            self.sizes[name] = size = draw.between(2, 4)
            return repr([draw.letters(3, "abcxyz") if draw.chance(0.2) else draw.word() for _ in range(size)])
        if kind == "dict":
            self.sizes[name] = size = draw.between(2, 3)
            return repr({draw.word(): draw.number(0, 30) for _ in range(size)})
        if kind == "set":
            self.sizes[name] = 3
            return f"{{{draw.number(0, 9)}, {draw.number(10, 30)}}}"
        if kind == "pair":
            return repr((draw.number(0, 30), draw.word()))
        return str(draw.real(0, 20)) if kind == "float" else draw.pick(("True", "False"))

    def _text(self) -> str:
        draw = self.draw
        share = draw.random()
        if share < 0.35:
            return draw.word()
        if share < 0.6:
            return draw.letters(draw.between(4, 8), "abcdeixyz")
        if share < 0.75:
            return draw.letters(draw.between(4, 8), "aAbBcC12 ")
        if share < 0.85:
            return draw.letters(draw.between(4, 8), "0123456789ab")
        for _ in range(20):
            text = draw.word() + draw.pick((" ", " ", ",", "-", "_")) + draw.word()
            if len(text) <= 11 and draw.allows(text):
                return text
        return draw.word()

    def atom(self, kind: str) -> tuple[str, int]:
        """A variable or a constant, and its size."""
        names = self.variables(kind)
        if names and self.draw.random() < 0.8:
            name = self.recent(names)
            return name, self.sizes[name]
        if kind == "bool":
            forms = self.fitting("test")
            return (self.fill(self.draw.pick(forms), 0)[0] if forms else "True"), 0
        if kind == "int":
            return self.literal(kind), 0
        if kind in _SIZED and names:
            name = self.recent(names)
            return name, self.sizes[name]
        text = self.literal(kind, "")
        return text, self.sizes.pop("", 0)

    def expression(self, kind: str, depth: int = 2, longest: int = LONGEST) -> tuple[str, int]:
        """An expression of a type, and its size."""
        for _ in range(4):
            callees = self.callees.get(kind)
            if callees and self.draw.random() < 0.35:
                if call := self.call(self.draw.pick(callees)):
                    return call
                continue
            forms = self.fitting(kind)
            if not forms:
                break
            before = self.cost
            text, size = self.fill(self.draw.pick(forms), depth - 1)
            words = text.split()
            if len(words) == 3 and words[0] == words[2]:  # such as x == x
                continue
            if size <= longest and self.cost <= self.budget:
                return text, size
            self.cost = before
        return self.atom(kind)

    def fitting(self, kind: str, short: bool = False) -> tuple[Form, ...]:
        """The forms of a type that can be written here."""
        return fitting_forms(self.table, kind, frozenset(self.types.values()), self.in_loop, short)

    def operand(self, kind: str, depth: int, bare: bool) -> tuple[str, int]:
        """What goes into a hole."""
        if depth <= 0 or self.draw.random() > NESTED:
            return self.atom(kind)
        forms = self.fitting(kind, short=True)
        if not forms:
            return self.atom(kind)
        form = self.draw.pick(forms)
        text, size = self.fill(form, depth - 1)
        return (f"({text})" if form.spaced and not bare else text), size

    def fill(self, form: Form, depth: int, names: dict[str, str] | None = None) -> tuple[str, int]:
        """Fill the holes of a form; gives its size too, and charges for its items.

        Args:
            form: what is written.
            depth: of expressions inside expressions.
            names: what is known by a name, and gets what is named in the form.
        """
        text, last = "", ""
        names = {} if names is None else names
        largest = total = 0
        for hole in form.pattern.holes:
            kind = hole.kind
            part, size = self.part(hole, depth, names)
            if part == last and kind == "int" and not hole.role:
                part = self.literal(kind)  # rather than x + x
            last = part
            if hole.name:
                names[hole.name] = part
            text += hole.before + part
            if kind in _SIZED:
                total += size
                largest = max(largest, size)
        text += form.pattern.tail
        self.cost += form.charge * (total + 1) * self.times
        rule = form.size
        if isinstance(rule, int):
            return text, rule
        size = {"max": largest, "sum": total + 1, "triple": 3 * total, "join": 1000}[rule]
        return text, size

    def part(self, hole: Hole, depth: int, names: Mapping[str, str]) -> tuple[str, int]:
        """What goes into a hole, and its size."""
        kind = hole.kind
        if kind in _CONSTANTS:
            return _CONSTANTS[kind](self.draw), 0
        if kind == "x":
            return self.x, 0
        if kind in _OF_X:
            return self.fill(self.draw.pick(self.fitting(kind)), 0)[0], 0
        if not kind:
            return names[hole.name], 0
        if hole.role:
            name = self.recent(self.variables(kind))
            return name, self.sizes[name]
        return self.operand(kind, depth, hole.bare)

    def condition(self) -> str:
        """A condition."""
        return self.expression("bool", 1)[0]

    def may_grow(self, name: str, items: int = 1) -> bool:
        """Whether a container may gain items here; if so, its size allows for them."""
        if name in self.frozen:
            return False
        if self.in_loop:
            left = self.grown.get(name, 0) - items
            self.grown[name] = max(left, 0)
            return left >= 0
        if self.sizes[name] + items > LONGEST:
            return False
        for other in [*self.shared, name] if name in self.shared else [name]:
            self.sizes[other] = self.sizes.get(other, 0) + items
        return True

    def assign(self, name: str, size: int) -> None:
        """A variable that exists gets a value of this size; in a block, it may also keep its own."""
        self.sizes[name] = max(size, self.sizes[name]) if self.indent > 1 else size
        self.shared.discard(name)
        self.types[name] = self.types.pop(name)  # the latest is last

    def write_block(self, write: Callable[[], None], times: int = 1, frozen: Sequence[str] = ()) -> None:
        """Write the lines of a block that runs so often each time that execution comes to it."""
        saved = self.types, self.frozen, self.times, self.in_loop, self.shared
        self.types, self.frozen = dict(self.types), self.frozen | set(frozen)
        self.times *= times
        self.in_loop |= times > 1
        self.indent += 1
        before = len(self.lines)
        write()
        if len(self.lines) == before:
            self.put("pass")
        self.indent -= 1
        self.types, self.frozen, self.times, self.in_loop, shared = *saved[:4], self.shared
        self.shared = shared | saved[4]

    def write_return(self) -> None:
        """Return a variable, an expression of its type, or two variables."""
        names = list(self.types)
        name, share = self.recent(names), self.draw.random()
        kind = self.types[name]
        if share < 0.35 or kind in ("object", "tally"):
            text = name
        elif share < 0.55 and len(names) > 1:
            text = f"{name}, {self.recent(names)}"
        else:
            kind = {"count": "int", "char": "str"}.get(kind, kind)
            text, _ = self.expression(kind, 2, 10_000)
        self.put(f"return {text}")

    def add_callee(self, kind: str, text: str, arguments: tuple[str, ...], cost: int, size: int = 0) -> None:
        """Let expressions of a type call a function; see `Callee`."""
        self.callees.setdefault(kind, []).append(Callee(text, arguments, cost, size))

    def call(self, callee: Callee) -> tuple[str, int] | None:
        """A call of a function of the program, if it can be afforded."""
        if not self.affords(callee.cost):
            return None
        self.cost += callee.cost * self.times
        return callee.text.format(*[self.argument(kind) for kind in callee.arguments]), callee.size

    def argument(self, kind: str) -> str:
        """An argument of a call; containers are no longer than `SHORT`."""
        text, size = self.atom(kind)
        return f"{text}[:{SHORT}]" if kind in _SIZED and size > SHORT else text

    def whole_number(self) -> str:
        """An int that depends on a variable, if one can."""
        names = self.variables("int")
        if names and self.draw.chance(0.8):
            return self.recent(names)
        sized = [name for name, kind in self.types.items() if kind in _SIZED]
        if sized:
            return f"len({self.recent(sized)})"
        pairs = self.variables("pair")
        return self.recent(names) if names else f"{pairs[0]}[0]" if pairs else self.literal("int")


SHORT = 6
"""Items of what a function of the program is given, at the most; dicts and sets are not given to them."""

_OF_X = ("fx", "px", "fw", "pw")
_CONSTANTS: dict[str, Callable[[Draw], str]] = {
    "n": lambda draw: str(draw.number(1, 9)),
    "k": lambda draw: str(draw.between(2, 3)),
    "m": lambda draw: str(draw.number(2, 9)),
    "N": lambda draw: str(draw.number(10, 60)),
    "c": lambda draw: repr(draw.pick("abcdeilnorstxyz")),
    "w": lambda draw: repr(draw.word()),
}

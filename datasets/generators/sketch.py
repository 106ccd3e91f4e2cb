"""Programs as people write them for exercises, sketched out of forms and tried out before they are kept.

Other families are sound by construction. Here forms may fail (`lst.remove(4)`, `text.index('q')`) or do
nothing, as in real code; a sketch that fails, runs too long or makes too much is drawn again. What that
depends on is the same on every machine and Python version: whether a program raises, how often its loops
go round and the text of its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.generators.method_forms import EXPRESSIONS
from cwm_trace.datasets.generators.notation import Hole, parse
from cwm_trace.datasets.pools import LABELS

LOCALS = {
    "str": "ans res result out new_text s new output t text cleaned temp",
    "char": "c ch char letter x i s",
    "int": "count total ans n res cnt result length num value x m",
    "total": "total count result s acc ans score steps",
    "index": "i j k idx index pos",
    "list": "ans res result lst out nums new_list values new_lst temp arr",
    "words": "words parts result ans res lst out new_list tokens items",
    "dict": "d counts result ans freq res count seen dic letters",
    "tally": "counts d seen freq result ans index",
    "groups": "groups d result grouped ans by_key",
    "table": "table d result info ans data",
    "set": "seen unique s found result common",
    "tuple": "t pair result tup ans",
    "pairs": "pairs items result ans lst res",
    "rows": "rows result matrix grid ans out",
    "bool": "ok found flag result valid",
    "item": "x item v num e value w entry",
    "key": "k key name word w",
}
ARGUMENTS = {
    "str": "text text text text s s string word txt sentence line message value",
    "char": "char ch c letter sep",
    "int": "n n k num x limit m size",
    "list": "nums nums nums lst lst numbers arr array l values a xs",
    "words": "words strings lst names items array l tokens",
    "dict": "d d dic dictionary data counts scores mapping dct prices",
    "tally": "d dic mapping counts",
    "groups": "groups d data dic",
    "table": "d data users table records",
    "set": "seen s items allowed",
    "tuple": "t tup pair values",
    "pairs": "pairs items lst scores",
    "rows": "matrix grid rows m",
}
_READS = {"str": ("str", "char"), "int": ("int", "index", "total")}
"""Types that can be read as another."""

_TEXTS = ("abcab", "aabbc", "xyzx", "abab12", "aAbBc", "Ab1 ", "a-b-c", "0123456789")
_ROUND = re.compile(r"^( *)(?:for|while)\b.*:$", re.MULTILINE)


class UnfitError(Exception):
    """A form has no variable to go with."""


class Sketch:
    """Writes one program, line by line.

    Args:
        draw: the source of randomness.
        share: of the operands that are variables rather than constants.
    """

    def __init__(self, draw: Draw, *, share: float = 0.88) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.indent = 0
        self.scope: dict[str, str] = {}
        """Type of each variable, and of each expression that may be read like one."""
        self.fixed: set[str] = set()
        """Must not be changed: what loops go over and bind."""
        self.near: list[str] = []
        """What the innermost loop binds, which its statements should be about."""
        self.share = share
        self.x = draw.pick(("x", "x", "n", "v", "num"))
        self.y = draw.pick(("c", "w", "s", "word", "ch"))
        self._seen_letters = ""
        self._seen_ints: list[int] = []
        self._seen_keys: list[str] = []

    def put(self, text: str) -> None:
        """Write lines."""
        self.lines += ["    " * self.indent + line for line in text.split("\n")]

    def text(self) -> str:
        """The lines so far."""
        return "\n".join(self.lines) + "\n"

    # names

    def new(self, kind: str, pools: Mapping[str, str] = LOCALS) -> str:
        """A name that is not in use."""
        pool = pools[kind].split()
        taken = {*self.scope, self.x, self.y}
        for _ in range(12):
            name = self.draw.pick(pool)
            if name not in taken:
                return name
        return next(f"{pool[0]}{number}" for number in range(2, 99) if f"{pool[0]}{number}" not in taken)

    def declare(self, kind: str, pools: Mapping[str, str] = LOCALS) -> str:
        """A new variable."""
        name = self.new(kind, pools)
        self.scope[name] = kind
        return name

    def variables(self, kind: str) -> list[str]:
        """What can be read as a type."""
        kinds = _READS.get(kind, (kind,))
        return [name for name, its in self.scope.items() if its in kinds]

    def changeable(self, kinds: Mapping[str, Any]) -> list[str]:
        """Variables of these types that may be changed."""
        return [
            name
            for name, kind in self.scope.items()
            if kind in kinds and name not in self.fixed and name.isidentifier()
        ]

    def recent(self, names: list[str]) -> str:
        """One of the names, rather a late one, in a loop rather one that it binds."""
        near = [name for name in names if name in self.near]
        if near and self.draw.chance(0.75):
            return self.draw.pick(near)
        place = self.draw.random()
        return names[len(names) - 1 - int(place * place * len(names))]

    # expressions

    def expression(self, kind: str, depth: int = 1) -> str:
        """An expression of a type, which depends on a variable.

        Raises:
            UnfitError: no variable leads to that type.
        """
        for _ in range(8):
            with suppress(UnfitError):
                return self.fill(self.draw.pick(EXPRESSIONS[kind]), depth=depth)
        raise UnfitError(kind)

    def fill(self, form: str, names: dict[str, str] | None = None, depth: int = 1) -> str:
        """Fill the holes of a form.

        Args:
            form: text with holes; names that loops bind stay as they are while nothing is known of them.
            names: what is known by a name, and gets what is named in the form.
            depth: of expressions inside expressions.

        Raises:
            UnfitError: there is no variable of a type that it needs.
        """
        names = {} if names is None else names
        holes, tail = parse(form)
        text = ""
        for hole in holes:
            text += hole.before
            if hole.role == "$" or not hole.kind:
                text += names.get(hole.name, hole.name)
                continue
            filled = self._hole(hole, depth)
            if hole.name:
                names[hole.name] = filled
            text += filled
        return text + tail

    def _hole(self, hole: Hole, depth: int) -> str:
        draw, kind = self.draw, hole.kind
        if kind in _CONSTANTS:
            return _CONSTANTS[kind](self)
        if kind in ("x", "y"):
            return self.x if kind == "x" else self.y
        if kind in ("px", "py", "pw", "fx", "fy"):
            return self.fill(draw.pick(EXPRESSIONS[kind]), depth=0)
        names = self.variables(kind)
        if hole.role or kind == "char":
            if not names:
                raise UnfitError(kind)
            return self.recent(names)
        if kind == "bool" or (depth > 0 and draw.chance(0.2)):
            text = self.expression(kind, depth - 1) if depth > -2 else "True"
            return f"({text})" if " " in text and not hole.bare and kind != "bool" else text
        if names and draw.chance(self.share):
            return self.recent(names)
        return self.literal(kind)

    # constants

    def literal(self, kind: str) -> str:
        """A constant of a type."""
        return repr(self.value(kind))

    def value(self, kind: str) -> Any:
        """What a constant of a type may be; remembered, so that the program may look for parts of it."""
        draw = self.draw
        if kind in ("int", "index", "total"):
            return draw.number(*draw.pick(((0, 9), (1, 9), (1, 9), (10, 60), (-9, 30), (10, 999))))
        if kind == "str":
            text = self._text()
            self._seen_letters += text
            return text
        if kind == "char":
            return draw.pick("abcdeiost-, ")
        if kind in ("list", "tuple"):
            ints = self._ints(draw.between(3, 6 if kind == "list" else 4))
            return ints if kind == "list" else tuple(ints)
        if kind == "set":
            return set(self._ints(3))
        if kind == "words":
            words = [self._word() for _ in range(draw.between(2, 4))]
            if draw.chance(0.25):
                words.append(words[0])
            self._seen_keys += words
            self._seen_letters += "".join(words)
            return words
        keys = [self._key() for _ in range(draw.between(2, 3))]
        if kind == "dict":
            return dict(zip(keys, self._ints(len(keys)), strict=True))
        if kind == "tally":
            ints = self._ints(3)
            return dict(zip(ints, self._ints(3), strict=True))
        if kind == "groups":
            return {key: self._ints(draw.between(1, 3)) for key in keys[:2]}
        if kind == "table":
            inner = [self._key() for _ in range(2)]
            return {key: dict(zip(inner, self._ints(2), strict=True)) for key in keys[:2]}
        if kind == "pairs":
            return list(zip(keys, self._ints(len(keys)), strict=True))
        if kind == "rows":
            width = draw.between(2, 3)
            return [self._ints(width) for _ in range(draw.between(2, 3))]
        return draw.chance(0.5)

    def _ints(self, count: int) -> list[int]:
        draw = self.draw
        low, high = draw.pick(((0, 9), (1, 9), (-9, 20), (1, 30), (10, 99), (1, 400)))
        ints = draw.numbers(count, low, high)
        if count > 2 and draw.chance(0.35):
            ints[-1] = ints[draw.below(count - 1)]
        self._seen_ints += ints
        return ints

    def _word(self) -> str:
        draw = self.draw
        share = draw.random()
        if share < 0.6:
            return draw.word()
        if share < 0.8:
            return draw.letters(draw.between(1, 4), draw.pick(("abc", "abxy", "aAbB")))
        return self._allowed(lambda: draw.word().capitalize(), draw.word)

    def _key(self) -> str:
        key = self.draw.pick("abcxyz") if self.draw.chance(0.3) else self._word()
        self._seen_keys.append(key)
        return key

    def _text(self) -> str:
        draw = self.draw
        share = draw.random()
        if share < 0.3:
            return draw.word()
        if share < 0.6:
            return draw.letters(draw.between(4, 8), draw.pick(_TEXTS))
        forms: tuple[Callable[[], str], ...] = (
            lambda: f"{draw.word()} {draw.word()}",
            lambda: f"{draw.word()}{draw.pick(',-_:./')}{draw.word()}",
            lambda: draw.word().title() + draw.pick(("!", " ", "?", "1", "")),
            lambda: draw.pick((" ", "  ", "--", "*")) + draw.word() + draw.pick((" ", "-", "*", "")),
            lambda: draw.word()[:4] + draw.pick(" ,-") + draw.word()[:3] + draw.pick(" ,-") + draw.word()[:3],
            lambda: draw.word()[:5].upper() + draw.pick(("", " ")) + draw.word()[:3],
        )
        form = draw.pick(forms)
        return self._allowed(form, draw.word)

    def _allowed(self, form: Callable[[], str], otherwise: Callable[[], str], longest: int = 14) -> str:
        for _ in range(12):
            text = form()
            if len(text) <= longest and self.draw.allows(text):
                return text
        return otherwise()

    def letter(self) -> str:
        """A letter, rather one that occurs."""
        if self._seen_letters and self.draw.chance(0.7):
            return self.draw.pick(self._seen_letters)
        return self.draw.pick("aeiostxyz-_")

    def phrase(self) -> str:
        """Three words, two of which may be the same."""
        draw = self.draw

        def form() -> str:
            words = [draw.word()[: draw.between(3, 6)] for _ in range(2)]
            return " ".join((*words, draw.pick((words[0], draw.word()))))

        return self._allowed(form, draw.word, 20)

    def letters(self) -> str:
        """Some letters that a text may have."""
        for _ in range(4):
            start = self.draw.below(max(1, len(self._seen_letters) - 2))
            part = self._seen_letters[start : start + self.draw.between(2, 3)]
            if len(part) > 1 and self.draw.allows(part):
                return part
        return self.letter()

    def key(self) -> str:
        """A key, rather one that occurs."""
        if self._seen_keys and self.draw.chance(0.75):
            return self.draw.pick(self._seen_keys)
        return self.draw.word()

    def bound(self) -> str:
        """An int of two digits, or a constant of the module that holds one."""
        names = self.variables("bound")
        if names and self.draw.chance(0.6):
            return self.draw.pick(names)
        return str(self.draw.number(10, 40))

    def item(self) -> int:
        """An int, rather one that occurs."""
        if self._seen_ints and self.draw.chance(0.7):
            return self.draw.pick(self._seen_ints)
        return self.draw.number(0, 20)

    # patterns of several lines

    def write_pattern(self, pattern: str, known: Mapping[str, str] | None = None) -> None:
        """Write lines, and bring their new variables into scope.

        Args:
            pattern: the lines; `<print>` prints what they have made.
            known: names that are no variables of the pattern's own.

        Raises:
            UnfitError: there is no variable of a type that it needs; nothing is written then.
        """
        scope = dict(self.scope)
        try:
            self.put(self._complete(pattern, dict(known or {})))
        except UnfitError:
            self.scope = scope
            raise

    def _complete(self, pattern: str, names: dict[str, str]) -> str:
        created: dict[str, str] = {}
        holes = parse(pattern).holes
        for hole in holes:
            if hole.role == "$" and hole.name not in names:
                names[hole.name] = self.declare(hole.kind)
                created[names[hole.name]] = hole.kind
        results = [name for name, kind in created.items() if kind != "index"]
        for bound in dict.fromkeys(hole.name for hole in holes if hole.name.startswith("%")):
            names[bound] = self.declare(_LOOP_KINDS.get(bound, "char"))
            created[names[bound]] = ""
        for name in created:
            del self.scope[name]
        if any(hole.kind == "print" for hole in holes):
            pattern = pattern.replace("<print>", self.print_line(results[-2:]))
        text = self.fill(pattern, names, depth=0)
        self.scope |= {name: kind for name, kind in created.items() if kind}
        return text

    def print_line(self, names: Sequence[str]) -> str:
        """A line that prints the last of some variables, or two of them."""
        form = self.draw.pick(_PRINTS if len(names) > 1 else _PRINTS[:-2])
        return form.format(names[-1], names[0], self.draw.pick(LABELS))


_LOOP_KINDS = {
    "%a": "item", "%b": "item", "%d": "int", "%i": "index", "%j": "index", "%k": "key", "%r": "list",
    "%v": "int", "%w": "key", "%x": "item",
}  # fmt: skip
"""Which names a loop of a pattern binds."""
_PRINTS = (
    "print({0})", "print({0})", "print({0})", "print(f'{0}: {{{0}}}')", "print(f'{0} = {{{0}}}')",
    "print('{2}', {0})", "print(str({0}))", "print({1}, {0})", "print(f'{{{1}}} {{{0}}}')",
)  # fmt: skip

_CONSTANTS: dict[str, Callable[[Sketch], str]] = {
    "n": lambda sketch: str(sketch.draw.number(1, 9)),
    "k": lambda sketch: str(sketch.draw.between(2, 3)),
    "m": lambda sketch: str(sketch.draw.number(3, 9)),
    "N": lambda sketch: sketch.bound(),
    "i": lambda sketch: str(sketch.draw.between(0, 3)),
    "c": lambda sketch: repr(sketch.letter()),
    "w": lambda sketch: repr(sketch.draw.word()),
    "key": lambda sketch: repr(sketch.key()),
    "sep": lambda sketch: repr(sketch.draw.pick((" ", " ", ",", "-", "_", ", "))),
    "mark": lambda sketch: repr(sketch.draw.pick(("*", "-", ".", "_", "#"))),
    "sub": lambda sketch: repr(sketch.letters()),
    "it": lambda sketch: str(sketch.item()),
    "start": lambda sketch: str(sketch.draw.number(2, 13)),
    "big": lambda sketch: str(sketch.draw.number(*sketch.draw.pick(((10, 99), (100, 999), (100, 1999))))),
    "moves": lambda sketch: repr(sketch.draw.letters(sketch.draw.between(3, 5), "nse")),
    "phrase": lambda sketch: repr(sketch.phrase()),
}


class _TooLongError(Exception):
    """Loops go round too often."""


def try_out(source: str, call: str, rounds: int, name: str = "program") -> tuple[int, Any] | None:
    """Run a program that was drawn here.

    Args:
        source: module text, each loop header on a line of its own.
        call: evaluated in it; empty: nothing.
        rounds: of all loops together, at the most.
        name: the module's `__name__`.

    Returns:
        How often loops went round, and the value of the call; None if it raised or took more rounds.
    """
    count = 0

    def go_round() -> None:
        nonlocal count
        count += 1
        if count > rounds:
            raise _TooLongError

    module: dict[str, Any] = {"__name__": name, "go_round": go_round, "print": lambda *_, **__: None}
    try:
        exec(compile(_ROUND.sub(r"\g<0>\n\1    go_round()", source), "<sketch>", "exec"), module)
        value = eval(call, module) if call else None
    except Exception:  # whatever the program may raise
        return None
    return count, value

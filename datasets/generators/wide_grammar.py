"""A small typed grammar of Python programs: the tables that `cwm_trace.strategies` draws from.

Its notation:

=================  ===============================================================================
``<int>``          an expression of that type, drawn from the variables in scope
``<var int>``      the name of a variable that may be read
``<own int>``      the name of a variable that may be assigned to: one of this function's own
``<let int>``      an assignment target: an own variable or a new one
``<new int>``      a new variable
``<x=var int>``    the same, and ``<x>`` repeats it later in the form
``<int with x:U>`` an expression that may use ``x``, evaluated once for each item of a container
``<int of x:U>``   the body of a function of ``x``: calls nothing, so that calling it has a fixed cost
``<block>``        statements; ``<loop>``: run up to 4 times; ``<live>``: once for each item of a
                   container that they must not change
=================  ===============================================================================

Every form is charged for what it may cost when it runs, times the iterations of the loops around it, and a
form that the program cannot afford is not drawn. That bounds line events, ints and containers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

LOOP = 4  # iterations of a counted loop, at most
LONGEST = 14  # items of a container: 6 when it is made, and what `BUDGET` lets it grow by
TIMES = 48  # the product of the loops around one statement
DEPTH = 3  # blocks inside blocks
_CALL_LINES = 32  # line events of calling a lambda or a nested function, at most; it doubles at most once


@dataclass(slots=True)
class Cost:
    """What running something may cost, at most."""

    lines: int = 0  # line events
    doublings: int = 0  # each one at most doubles the biggest int of the program
    growth: int = 0  # items that containers gain in place

    def charge(self, cost: Cost, times: int) -> None:
        """Add the cost of running something so many times."""
        self.lines += cost.lines * times
        self.doublings += cost.doublings * times
        self.growth += cost.growth * times

    def affords(self, cost: Cost, times: int) -> bool:
        """Whether the budget, of which this is spent, allows for the cost."""
        return (
            self.lines + cost.lines * times <= BUDGET.lines
            and self.doublings + cost.doublings * times <= BUDGET.doublings
            and self.growth + cost.growth * times <= BUDGET.growth
        )


BUDGET = Cost(lines=2_000, doublings=64, growth=8)


@dataclass(frozen=True, slots=True)
class Hole:
    """One ``<...>`` of a form."""

    label: str
    role: str
    type: str
    binds: str  # "with", "of" or nothing
    name: str
    name_type: str
    bare: bool  # an operand here needs no parentheses


_HOLE = re.compile(r"<(?:(\w+)=)?(?:(let|new|own|var) )?(\w+)(?: (with|of) (\w+):(\w+))?>")
_OPENING = ("(", "[", "{", ", ", ": ", " = ", "+= ", "-= ", "|= ", "^= ", ":= ", "return ", "yield ")
BLOCKS = {"<block>": 1, "<loop>": LOOP, "<live>": LONGEST}


@dataclass(slots=True, eq=False)
class Form:
    """A form of the grammar, parsed: a statement or an expression with holes."""

    text: str
    cost: Cost = field(default_factory=Cost)
    mutates: bool = False  # changes a container in place
    calls: bool = False
    rows: list[tuple[int, list[str | Hole]]] = field(init=False)
    needs: set[tuple[str, str]] = field(init=False)
    blocks: list[int] = field(init=False)
    compound: bool = field(init=False)  # as an operand it needs parentheses

    def __post_init__(self) -> None:
        lines = self.text.split("\n")
        self.rows = [(len(line) - len(line.lstrip()), parse(line.lstrip())) for line in lines]
        holes = [hole for _, row in self.rows for hole in row if isinstance(hole, Hole)]
        self.needs = {(hole.role, hole.type) for hole in holes if hole.role in ("own", "var")}
        self.needs |= {("jump", "")} if self.text.endswith(("break", "continue")) else set()
        self.needs |= {("return", "")} if "<result>" in self.text else set()
        self.blocks = [BLOCKS[line.strip()] for line in lines if line.strip() in BLOCKS]
        self.compound = " " in outside_brackets(_HOLE.sub("x", self.text))


def outside_brackets(text: str) -> str:
    """An expression without what stands in its strings and brackets."""
    text = re.sub(r"'[^']*'", "s", text)
    while text != (outside := re.sub(r"\([^()]*\)|\[[^][]*\]|\{[^{}]*\}", "", text)):
        text = outside
    return text


def parse(line: str) -> list[str | Hole]:
    """Split one line of a form into text and holes."""
    parts: list[str | Hole] = []
    end = 0
    for match in () if line in BLOCKS else _HOLE.finditer(line):
        label, role, kind, binds, name, name_kind = (group or "" for group in match.groups())
        before, after = line[: match.start()], line[match.end() :]
        opened = not before or before.endswith(_OPENING)
        closed = not after or after.startswith((")", "]", "}", ",", ":"))
        bare = (opened and closed) or (after == ":" and before.endswith(("if ", "in ", "match ")))
        parts += [line[end : match.start()], Hole(label, role, kind, binds, name, name_kind, bare)]
        end = match.end()
    return [*parts, line[end:]]


def forms(
    *texts: str,
    lines: int = 0,
    doublings: int = 0,
    growth: int = 0,
    mutates: bool = False,
    calls: bool = False,
) -> list[Form]:
    """Forms of one cost; the arguments are those of `Cost` and `Form`."""
    return [Form(text, Cost(lines, doublings, growth), mutates, calls) for text in texts]


# fmt: off
LITERALS: dict[str, Sequence[str]] = {
    "int": ("0", "1", "2", "3", "5", "7", "10", "42", "-1", "-4"),
    "bool": ("False", "True"),
    "float": ("0.0", "0.5", "1.25", "-2.0", "3.75"),
    "str": ("''", "'a'", "'b'", "'ab'", "'b a'", "'12'", "'Ab,c'", "'é'", '"it\'s"', "'x\\ny'"),
    "ints": ("[]", "[1]", "[0, 2]", "[3, 1, 2]", "[5, -1, 5, 0]"),
    "words": ("[]", "['a']", "['b', 'a']", "['ab', 'c', 'ab']"),
    "counts": ("{}", "{'a': 1}", "{'b': 0, 'a': 2}"),
    "pair": ("(0, '')", "(1, 'a')", "(2, 'b')"),
    "set": ("set()", "{1}", "{2, 0}"),
    "maybe": ("None", "0", "3"),
    "gen": ("iter(())", "iter((1, 2))"),
    "bound": ("2", "3", "4"),
    "digit": ("1", "2", "3", "9"),
    "errors": ("Exception", "ValueError", "LookupError", "(ZeroDivisionError, KeyError)",
               "(IndexError, AssertionError)"),
}

NAMES = {"int": "n", "bool": "ok", "float": "y", "str": "s", "ints": "xs", "words": "ws", "counts": "d",
         "pair": "t",
          "set": "seen", "maybe": "m", "gen": "g", "index": "i", "fun": "fn", "error": "e"}
VALUES = ("int", "str", "ints", "bool", "words", "counts", "float", "pair", "set", "maybe")

EXPRESSIONS: dict[str, list[Form]] = {
    "int": [
        *forms("<int> + <int>", "<int> - <int>", "<int> * 2", "<int> ^ <int>", doublings=1),
        *forms("sum(<int with x:int> for x in <ints>) % 100", lines=LONGEST),
        *forms("<var fun>(<int>)", "(lambda x: <int of x:int>)(<int>)", calls=True,
               lines=_CALL_LINES, doublings=1),
        *forms(
            "<int> + <digit>", "<int> * <int> % 97", "<int> // <digit>", "<int> % <digit>", "-<int>",
            "abs(<int>)",
            "max(<int>, <int>)", "<int> if <bool> else <int>", "len(<ints>)", "len(<str>)", "len(<words>)",
            "len(<set>)", "sum(<ints>) % 100", "<counts>.get(<str>, 0)", "(<ints> or [0])[-1]",
            "<xs=var ints>[<int> % len(<xs>)] if <xs> else 0",
            "<pair>[0]", "<maybe> or <int>", "int(<float>)", "int(<bool>)", "<str>.count(<str>)",
            "<str>.find(<str>)",
            "<ints>.count(<int>)", "next(<gen>, <int>)", "min(<ints>, default=<int>)", "divmod(<int>, 3)[1]",
        ),
    ],
    "bool": forms(
        "<int> < <int>", "<int> == <int>", "not <bool>", "<bool> and <bool>", "<bool> or <bool>",
        "<int> in <ints>",
        "<int> in <set>", "<str> in <counts>", "<str> != <str>", "<str>.startswith(<str>)", "0 <= <int> < 10",
        "<var maybe> is None", "bool(<ints>)", "<float> >= <float>", "<var ints> is <var ints>",
        "<pair> == <pair>",
    ) + forms("any(<bool with x:int> for x in <ints>)", "all(<bool with w:str> for w in <words>)",
              lines=LONGEST),
    "float": forms(
        "<int> / 4 % 100.0", "(<float> + <float>) / 2", "(<float> - <float>) / 2", "<float> * <float> % 10.0",
        "round(<float>, 1)", "max(<float>, <float>)", "abs(<float>)", "<float> if <bool> else <float>",
    ),
    "str": forms("<str> + '!'", growth=1) + forms(
        "(<str> + <str>)[:12]", "<str>.upper()", "<str>.strip()", "<str>[::-1]", "<str>[:3]", "<str>[1:]",
        "<str>[-2:]",
        "str(<int>)", "(<str> * 2)[:8]", "f'{<var int>}'", "f'{<var int>:03d}-{<var str>:.6}'",
        "f'<{<var str>!r:.8}>'",
        "f'{<var float>:.2f}'", "f'{<var int>=}'", "','.join(<words>)[:12]", "<str>.replace('a', 'c')",
        "<pair>[1]",
        "<str> if <bool> else <str>", "'%d%%' % <int>", "'{}:{:>4}'.format(<int>, <str>[:4])", "repr(<bool>)",
        "max(<words>, default=<str>)", "str(<var error>)[:12]", "type(<var error>).__name__",
    ),
    "ints": forms(
        "[<int with x:int> for x in <ints>]", "[<int with x:int> for x in <ints> if <bool with x:int>]",
        "[<int with w:str> for w in <words>]", "sorted(<ints>, key=lambda x: <int with x:int>)",
        "[x + z for x in <ints>[:2] for z in <ints>[:3]]", lines=LONGEST, doublings=1,
    ) + forms("list(map(<var fun>, <ints>))", calls=True, lines=_CALL_LINES * LONGEST,
               doublings=LONGEST) + forms(
        "[<int>, <int>]", "[<int>, *<ints>][:6]", "(<ints> + <ints>)[:6]", "sorted(<ints>)", "<ints>[::-1]",
                   "<ints>[1:]",
        "<ints>[:<int>]", "list(range(<bound>))", "list(<counts>.values())", "sorted(<set>)", "list(<gen>)",
                   "<ints>.copy()",
        "[<int>] * <bound>", "[\n    <int>,\n    <int>,\n]",
    ),
    "words": forms("[<str with x:int> for x in <ints>]", "[<str with w:str> for w in <words>]",
                   lines=LONGEST) + forms(
        "[<str>, <str>]", "<str>[:9].split()", "<str>.split(',', 2)", "list(<str>[:4])", "sorted(<words>)",
        "sorted(<words>, key=len)", "<words>[:2]", "list(<counts>)",
                       "[w for w in <words> if w in <var counts>]",
    ),
    "counts": forms(
        "{w: <int with w:str> for w in <words>}", "{k: v for k, v in <counts>.items() if <bool with v:int>}",
        lines=LONGEST,
    ) + forms("{**<counts>, <str>: <int>}", growth=1) + forms(
        "{<str>: <int>, <str>: <int>}", "dict(<counts>)", "dict(zip(<words>, <ints>))", "dict(a=<int>)",
        "dict.fromkeys(<words>, <int>)", "{\n    'a': <int>,\n    <str>: <int>,\n}",
    ),
    "pair": forms(
        "(<int>, <str>)", "<pair> if <bool> else <pair>", "max(<pair>, <pair>)",
        "next(enumerate(<words>), <pair>)",
        "(\n    <int>,\n    <str>,\n)",
    ),
    "set": forms("{<int with x:int> for x in <ints>}", lines=LONGEST) + forms(
        "{<int>, <int>}", "set(<ints>)", "<set> & <set>", "<set> - <set>", "set(range(<bound>))",
    ),
    "maybe": forms("<counts>.get(<str>)", "<int> if <bool> else None",
                   "None if <var maybe> is None else <int>"),
    "gen": forms("(x * 2 for x in <ints>)", lines=LONGEST, doublings=1) + forms("reversed(<ints>)"),
}

RAISING: dict[str, list[Form]] = {
    "int": forms("<int> // <int>", "<int> % <int>", "<ints>[<int>]", "<counts>[<str>]", "int(<str>[:3])",
                 "max(<ints>)",
                  "<ints>.index(<int>)", "<maybe> + 1") + forms("<var ints>.pop()", mutates=True),
    "float": forms("<float> / <float> % 10.0"),
    "str": forms("<words>[<int>]", "<str>[<int>]"),
}

_HANDLER = "except <errors> as <new error>:\n    <block>"
STATEMENTS: dict[str, list[Form]] = {
    "assignment": forms(*(f"<let {kind}> = <{kind}>" for kind in VALUES)),
    "print": forms("print(<str>)", "print(<int>)", "print(<ints>)", "print(<int>, <bool>, <float>, sep='|')",
                    "print(<words>, <maybe>, end=';')", "print(f'{<var int>} {<var str>!r:.9}')",
                   "print(<counts>, <pair>)",
                    "print(\n    <int>,\n    <str>,\n)"),
    "augmented": [
        *forms("<own int> += <int>", "<own int> -= <int>", "<own int> *= 2", doublings=1),
        *forms("<own int> += <digit>", "<own int> //= 2", "<own int> %= 10", "<own float> /= 2",
               "<own bool> ^= <bool>"),
        *forms("<own str> += 'z'", growth=1),
        *forms("<own ints> += [<int>]", "<own set> |= {<int>}", growth=1, mutates=True),
    ],
    "unpacking": forms("<let int>, <let str> = <pair>", "<a=own int>, <b=own int> = <b>, <a>",
                        "<let int>, *<let ints> = [<int>, *<ints>]",
                       "(<let int>, <let str>), <let bool> = <pair>, <bool>",
                        "<let int> = <let int> = <int>"),
    "aliasing": forms("<let ints> = <var ints>", "<let counts> = <var counts>", "<let set> = <var set>"),
    "mutation": forms(
        "<var ints>.append(<int>)", "<var ints>.insert(<int>, <int>)", "<var words>.append(<str>)",
        "<var set>.add(<int>)",
        "<var counts>[<str>] = <int>", "<var counts>.update(a=<int>)",
        "<let int> = <var counts>.setdefault(<str>, <int>)",
        "<d=var counts>[<s=var str>] = <d>.get(<s>, 0) + 1", growth=1, mutates=True,
    ) + forms("<var ints>.extend(<ints>[:2])", growth=2, mutates=True) + forms(
        "<var ints>.sort()", "<var ints>.reverse()", "<var ints>[:1] = [<int>]", "<var ints>.clear()",
        "<let int> = <var counts>.pop(<str>, <int>)", "<var set>.discard(<int>)",
        "<var words>.sort(reverse=<bool>)",
        mutates=True,
    ),
    "del": forms("del <var doomed>") + forms("del <var ints>[:1]", "del <var words>[1:]", mutates=True),
    "assert": forms("assert len(<var ints>) >= 0", "assert isinstance(<var int>, int), <var int>"),
    "if": forms("if <bool>:\n    <block>", "if <bool>:\n    <block>\nelse:\n    <block>",
                 "if <bool>:\n    <block>\nelif <bool>:\n    <block>\nelse:\n    <block>",
                 "if (<new int> := <int>) > <int>:\n    <block>"),
    "for": forms(
        "for <new int> in range(<bound>):\n    <loop>", "for <new int> in <ints>[:4]:\n    <loop>",
        "for <new str> in <str>[:4]:\n    <loop>",
        "for <new int>, <new str> in enumerate(<words>[:4]):\n    <loop>",
        "for <new str>, <new int> in sorted(<counts>.items())[:4]:\n    <loop>",
        "for <new int>, <new str> in zip(<ints>, <str>[:4]):\n    <loop>",
        "for <new int> in <ints>:\n    <live>", "for <new str> in <var counts>:\n    <live>",
        "for <new str>, <new int> in <var counts>.items():\n    <live>",
        "for <new int> in <gen>:\n    <live>",
        "for <new int> in range(<bound>):\n    <loop>\nelse:\n    <block>",
    ),
    "while": forms("<i=new index> = 0\nwhile <i> < <bound>:\n    <i> += 1\n    <loop>",
                    "<i=new index> = <bound>\nwhile <i> > 0 and <bool>:\n    <i> -= 1\n    <loop>\n"
                   "else:\n    <block>"),
    "try": forms(f"try:\n    <block>\n{_HANDLER}", f"try:\n    <block>\n{_HANDLER}\nelse:\n    <block>",
                  "try:\n    <block>\nfinally:\n    <block>",
                  f"try:\n    <block>\n{_HANDLER}\nexcept Exception:\n    <block>\nfinally:\n    <block>"),
    "match": forms(
        "match <int> % 4:\n    case 0:\n        <block>\n"
        "    case 1 | 2:\n        <block>\n    case _:\n        <block>",
        "match <ints>:\n    case []:\n        <block>\n    case [<new int>, *<new ints>]:\n        <block>",
        "match <pair>:\n    case (0, <new str>):\n        <block>\n"
        "    case (<new int>, 'a' | 'b') if <bool>:\n        <block>",
        "match <counts>:\n    case {'a': <new int>, **<new counts>}:\n        <block>\n"
        "    case _:\n        <block>",
    ),
    "function": forms(
        "def <new fun>(x):\n    return <int of x:int>", "<new fun> = lambda x: <int of x:int>",
        "def <new fun>(x, step=<int>):\n    if <bool of x:int>:\n        return step\n"
        "    return <int of x:int>",
        "def <new fun>(x):\n    <xs=var ints>[:1] = [x]\n    return len(<xs>)",
        "def <new fun>(x):\n    nonlocal <n=own local>\n    <n> += x\n    return <n>",
    ),
    "call": forms("<let int> = <var fun>(<int>)", calls=True, lines=_CALL_LINES, doublings=1)
    + forms("<let ints> = list(map(<var fun>, <ints>))", calls=True, lines=_CALL_LINES * LONGEST,
            doublings=LONGEST),
    "generator": forms("<let gen> = <gen>", "<let int> = next(<gen>, <int>)", "<let ints> = list(<gen>)"),
    "jump": forms("if <bool>:\n    break", "if <bool>:\n    continue"),
    "return": forms("if <bool>:\n    return <result>"),
}
RAISE = forms("if <bool>:\n    raise ValueError(<str>)", "if <bool>:\n    raise KeyError(<int>)",
              "assert <bool>, <str>",
                "<var ints>[<int>] = <int>", "<let int>, <let int> = <ints>") + forms(
    "<var ints>.remove(<int>)", "del <var counts>[<str>]", "del <var ints>[<int>]", mutates=True)
# fmt: on

USUAL = (
    "assignment",
    "assignment",
    "assignment",
    "for",
    "print",
    "if",
    "mutation",
    "raise",
)  # drawn more often than the rest

GUARD = """\
class Guard:
    def __init__(self, label):
        self.label = label

    def __enter__(self):
        print('enter', self.label)
        return self

    def __exit__(self, kind, error, trace):
        print('exit', kind and kind.__name__)
        return {swallows}"""


@dataclass(slots=True)
class Scope:
    """What the statements of one block may use."""

    variables: dict[str, str]  # name to type
    own: set[str]  # may be assigned to
    result: str = ""  # the type that `return` needs; empty where it is not allowed
    times: int = 1
    depth: int = 0
    in_loop: bool = False
    frozen: bool = False  # a container is being iterated over: change none
    pure: bool = False  # call none of the program's functions
    fresh: set[str] = field(default_factory=set)  # made in this very block and captured by nothing

    def names(self, role: str, kind: str) -> list[str]:
        """Variables that a hole of this role and type may name."""
        if kind == "doomed":
            return [name for name in self.variables if name in self.fresh]
        kinds = {"int": ("int", "index"), "local": ("int",)}.get(kind, (kind,))
        names = [name for name, its_kind in self.variables.items() if its_kind in kinds]
        if role != "var":
            names = [name for name in names if name in self.own]
        return [name for name in names if name.isidentifier()] if kind == "local" else names

    def offers(self) -> set[tuple[str, str]]:
        """The roles and types of all variables: what forms may need."""
        found = {("return", "")} if self.result else set()
        found |= {("jump", "")} if self.in_loop else set()
        for name, kind in self.variables.items():
            found |= {("var", kind), ("own", kind)} if name in self.own else {("var", kind)}
            if kind == "index":
                found.add(("var", "int"))
            elif kind == "int" and name in self.own and name.isidentifier():
                found.add(("own", "local"))
            if name in self.fresh:
                found.add(("var", "doomed"))
        return found

    def bind(self, name: str, kind: str) -> None:
        """Add a variable; a function captures what it sees, so that nothing seen may be deleted any more."""
        if kind == "fun":
            self.fresh.clear()
        elif kind not in ("index", "error"):
            self.own.add(name)
            self.fresh |= {name} - set(self.variables)
        self.variables[name] = kind

    def unbind(self, name: str) -> None:
        """Take a variable away: it is deleted."""
        del self.variables[name]
        self.own.discard(name)
        self.fresh.discard(name)

    def block(self, times: int) -> Scope:
        """The scope of a block inside this one, which runs `times` times as often."""
        return replace(
            self,
            variables=dict(self.variables),
            own=set(self.own),
            times=self.times * times,
            depth=self.depth + 1,
            in_loop=self.in_loop or times > 1,
            frozen=self.frozen or times == LONGEST,
            fresh=set(),
        )

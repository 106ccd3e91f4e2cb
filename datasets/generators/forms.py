"""What the general family writes: expressions of each type.

The notation is that of `notation`, and its words are

=========  ===================================================================================
``<x>``    a variable of a comprehension or lambda, called the same throughout one program
``<fx>``   an int made of the int ``x``; ``<px>`` a condition on it
``<fw>``   a string made of the string ``x``; ``<pw>`` a condition on it
``<test>`` a plain condition
``<n>``    an int constant from 1 to 9; ``<k>`` 2 or 3; ``<m>`` from 2 to 9; ``<N>`` from 10 to 60
``<c>``    a string of one letter; ``<w>`` a word
=========  ===================================================================================

Every expression has an upper bound of its size (items or characters) that follows from those of its parts:
`max` of them, their `sum`, three times the sum (`triple`), a number, or too much for all but a result
(`join`). A `+` or `*` prefix charges one line event for each item that a container in it may have, or three:
comprehensions, generator expressions and lambdas are activations of their own on Python 3.10 and 3.11.
`!`: not in loops, ints would grow too fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cwm_trace.datasets.generators.notation import Pattern, is_spaced, parse

LONGEST = 16  # items of a container, characters of a string, at the most; what is returned may be longer


class Form(NamedTuple):
    """An expression with holes.

    Attributes:
        pattern: its text and holes.
        needs: types of which a variable must exist.
        size: `max`, `sum`, `triple`, `join` or a number of items or characters.
        charge: line events for each item of the containers.
        grows: whether it makes ints grow fast.
        spaced: whether it needs parentheses as an operand.
    """

    pattern: Pattern
    needs: tuple[str, ...]
    size: str | int
    charge: int
    grows: bool
    spaced: bool


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """All expressions of a language, by type; what is made of ``<x>``, by the word for it."""

    forms: Mapping[str, tuple[Form, ...]]


def _parse_form(text: str, size: str | int) -> Form:
    """Split a form into its holes; see the module for its prefixes."""
    charge = {"+": 1, "*": 3}.get(text[0], 0)
    grows = text[0] == "!"
    text = text[1:] if charge or grows else text
    pattern = parse(text)
    needs = tuple(hole.kind for hole in pattern.holes if hole.role == "=")
    return Form(pattern, needs, size, charge, grows, is_spaced(text))


def forms(*texts: str, size: str | int = "max") -> tuple[Form, ...]:
    """Forms of one size; see the module for their prefixes."""
    return tuple(_parse_form(text, size) for text in texts)


# fmt: off
FORMS: dict[str, tuple[Form, ...]] = {
    "int": forms(
        "<=int> + <int>", "<=int> - <int>", "<=int> + <n>", "<=int> * <k>", "!<=int> * <int>", "<=int> % <m>",
        "<=int> // <k>", "len(<=list>)", "len(<=str>)", "len(<=words>)", "len(<=dict>)", "sum(<=list>)",
        "max(<=list>, default=<n>)", "min(<=list>, default=<n>)", "abs(<=int>)", "min(<=int>, <int>)",
        "max(<=int>, <int>)", "<=str>.count(<c>)", "<=str>.find(<c>)", "<=list>.count(<=int>)",
        "<=str>.rfind(<c>)",
        "<=dict>.get(<w>, <n>)", "sum(<=dict>.values())", "*sum(<fx> for <x> in <=list>)",
        "*sum(1 for <x> in <=list> if <px>)", "<=list:a>[<=int> % len(<:a>)] if <:a> else <n>",
        "<=int> * <n> % <N>",
        "<=int> if <bool> else <int>", "<=list:a>[0] if <:a> else <n>", "<=list:a>[-1] if <:a> else -1",
        "<=pair>[0]", "ord(<=char>) % <N>", "len(set(<=list>))", "*sum(len(<x>) for <x> in <=words>)",
        "len(<=set>)", "int(<=float>)", "<=tally>.get(<n>, 0)", "len(<=tally>)",
        "max(<=tally>.values(), default=0)",
        "len(<=list>) - <=list>.count(<n>)", "max(len(<=str>), <n>)",
        "*max([len(<x>) for <x> in <=words>], default=0)",
    ),
    "str": forms(
        "<=str>.upper()", "<=str>.lower()", "<=str>.title()", "<=str>.capitalize()", "<=str>.swapcase()",
        "<=str>.strip()", "<=str>[::-1]", "<=str>[<k>:]", "<=str>[:<k>]", "<=str>[:-1]", "<=str>[1:]",
        "<=str>[::2]",
        "<=str>.replace(<c>, <c>)", "<=str>.replace(<c>, '')", "<=str>.lstrip(<c>)",
        "''.join(sorted(<=str>))",
        "''.join(reversed(<=str>))", "<=str>.partition(<c>)[2]", "<=str>.removeprefix(<c>)",
        "<=str> if <bool> else <str>",
        "+''.join([<x> for <x> in <=str> if <pw>])", "+''.join([<fw> for <x> in <=str>])",
    ) + forms("<=str> + <str>", "<=str> + <c>", "<c> + <=str>", "f'{<=str>}-{<=str>}'",
        "<=str>[0:1] + <=str>[::-1]",
               size="sum")
      + forms("<=str> * <k>", size="triple")
      + forms("str(<=int>)", "max(<=words>, key=len, default='')", "min(<=words>, default=<c>)",
               "<=pair>[1]", "<=words:a>[-1] if <:a> else ''", "<=words:a>[0] if <:a> else <c>", size=LONGEST)
      + forms("' '.join(<=words>)", "'-'.join(<=words>)", "''.join(<=words>)", "', '.join(sorted(<=words>))",
               "f'{<=str>}: {<=int>}'", "f'{<=int>} {<=str>}'", size="join")
      + forms("<=str>[:5].center(<n>, '*')", "<=str>[:4].ljust(6, '.')", "<=str>[:6].zfill(8)",
        "f'{<=count>:03d}'", size=9)
      + forms("chr(ord('a') + <=int> % 10)", "<=str:a>[<int> % len(<:a>)] if <:a> else ''", size=1),
    "list": forms(
        "+[<fx> for <x> in <=list>]", "+[<fx> for <x> in <=list>[1:]]", "+[<fx> for <x> in <=list> if <px>]",
        "+[<x> for <x> in <=list> if <px>]", "sorted(<=list>)", "sorted(<=list>, reverse=True)",
        "*sorted(<=list>, key=lambda <x>: <fx>)", "<=list>[::-1]", "<=list>[1:]", "<=list>[:<k>]",
        "<=list>[::2]",
        "<=list>[-<k>:]", "list(<=dict>.values())", "sorted(<=set>)", "+[len(<x>) for <x> in <=words>]",
        "+[ord(<x>) for <x> in <=str>]", "list(map(abs, <=list>))", "sorted(<=tally>)",
        "list(<=tally>.values())", "+[k for k, v in <=tally>.items() if v > 1]", "sorted(set(<=list>))",
        "+[a + b for a, b in zip(<=list>, <list>)]", "+[i * v for i, v in enumerate(<=list>)]",
        "<=list> if <bool> else <list>", "+[max(<x>, <n>) for <x> in <=list>]", "<=list>.copy()",
        "*list(filter(lambda <x>: <px>, <=list>))", "*list(map(lambda <x>: <fx>, <=list>))",
    ) + forms("<=list> + <list>", "<=list> + [<int>]", "[<int>] + <=list>", "[<int>, *<=list>]", size="sum")
      + forms("[<int>, <int>, <int>]", "[<int>, <int>]", "[<n>] * <k>", size=3)
      + forms("list(range(<n>))", "list(range(<k>, 9))", "list(range(<n>, 0, -1))", size=9),
    "words": forms(
        "<=str>.split()", "<=str>.split(<c>)", "list(<=str>)", "sorted(<=words>)",
        "sorted(<=words>, key=len)",
        "+[<fw> for <x> in <=words>]", "+[<x> for <x> in <=words> if <pw>]",
        "+[<x> for <x> in <=str> if <pw>]",
        "<=words>[::-1]", "<=words>[1:]", "<=words>[:<k>]", "list(<=dict>)", "sorted(<=dict>)",
        "sorted(set(<=str>))",
        "+[str(<x>) for <x> in <=list>]", "<=words> if <bool> else <words>",
        "+[f'{i}{v[:3]}' for i, v in enumerate(<=words>)]",
    ) + forms("<=words> + [<str>]", "<=words> + <words>", size="sum") + forms("[<str>, <str>]", size=2),
    "dict": forms(
        "+{<x>: len(<x>) for <x> in <=words>}", "+{<x>: <=str:a>.count(<x>) for <x> in <:a>}",
        "dict(zip(<=words>, <=list>))",
        "+{k: v for k, v in <=dict>.items() if v > <n>}", "<=dict>.copy()", "dict(sorted(<=dict>.items()))",
        "+{k: v + <n> for k, v in <=dict>.items()}", "dict.fromkeys(<=words>, <int>)",
        "+{v: i for i, v in enumerate(<=words>)}", "+{<x>: i for i, <x> in enumerate(<=str>)}",
    ) + forms("{**<=dict>, <w>: <int>}", "{<w>: <int>, **<=dict>}", size="sum")
      + forms("{<w>: <int>, <w>: <int>}", "{<c>: <int>}", "dict(a=<int>, b=<int>)", size=2),
    "set": forms("set(<=list>)", "<=set> & set(<=list>)", "+{<fx> for <x> in <=list>}", "<=set> - {<int>}")
      + forms("<=set> | {<int>}", "<=set> | set(<=list>)", size="sum") + forms("{<int>, <int>}", size=2),
    "bool": forms(
        "<=int> > <int>", "<=int> < <int>", "<=int> == <int>", "<=int> % <k> == 0", "<=int> >= <n>",
        "<c> in <=str>",
        "<=str>.startswith(<c>)", "<=str>.endswith(<c>)", "<=str>.isdigit()", "<=str>.isalpha()",
        "<=str>.islower()",
        "<=int> in <=list>", "<w> in <=dict>", "not <=list>", "<bool> and <bool>", "<bool> or <bool>",
        "not <bool>",
        "len(<=list>) > <k>", "len(<=str>) > <n>", "*any(<px> for <x> in <=list>)",
        "*all(<px> for <x> in <=list>)",
        "<=str:a> == <:a>[::-1]", "<=int> in <=set>", "<=list:a> == sorted(<:a>)", "<c> in <=words>",
        "<=int> != <int>", "<n> in <=list>", "<n> < <=int> < <N>", "<=str> in <=words>",
    ),
    "float": forms("<=int> % <N> / <k>", "round(<=float>, 1)", "<=float> * <k>", "<=float> + <n>",
        "<=float> / 2",
                    "<=float> - 0.5", "sum(<=list>) % <N> / max(len(<=list>), 1)", "max(<=float>, <float>)"),
    "pair": forms("(<int>, <str>)", "(<int>, <w>)", "(len(<=str:a>), <:a>)"),
    "fx": forms("<x> * <k>", "<x> + <n>", "<x> - <n>", "<x> % <m>", "-<x>", "<x> // <k>", "abs(<x>)",
                 "<x> * <x>", "<x> + <=int>", "<x> * 2 + 1", "<x> if <x> > <n> else 0"),
    "px": forms("<x> % 2 == 0", "<x> > <n>", "<x> < <N>", "<x> % <k> != 0", "<x> != <n>", "<x> >= 0",
                 "<x> > <=int>"),
    "fw": forms("<x>.upper()", "<x>[1:] + <c>", "<x>[::-1]", "<x>.title()", "<x>[:<k>]",
                 "<x>.replace(<c>, <c>)"),
    "pw": forms("<x> != <c>", "<x> > <c>", "<x> in 'aeiou'", "<x>.isalpha()", "<c> not in <x>", "<x> < 'n'"),
    "test": forms("<=int> > <n>", "<=int> % 2 == 0", "len(<=str>) > <n>", "len(<=list>) < <n>",
                   "<c> in <=str>", "<=words>", "<=dict>", "<=float> > <n>", "<=pair>[0] > <n>",
                   "<=int> < <N>",
                   "<=str>.isalpha()", "<=set>", "<=char> > <c>", "<=pair>[0] % 2 == 0", "<=float> < <N>"),
}
# fmt: on
GENERAL = Table(FORMS)

READABLE = {"int": ("int", "count"), "str": ("str", "char")}  # types that a hole of a type may read


@lru_cache(maxsize=16384)
def fitting_forms(
    table: Table, kind: str, types: frozenset[str], in_loop: bool, short: bool
) -> tuple[Form, ...]:
    """The forms of a type that variables of these types can fill; `short`: none that adds sizes up."""
    return tuple(
        form
        for form in table.forms.get(kind, ())
        if not (form.grows and in_loop)
        and not (short and form.size in ("join", "sum", "triple"))
        and all(types.intersection(READABLE.get(need, (need,))) for need in form.needs)
    )

"""How the generators write patterns, from single expressions to whole programs: Python with holes.

==========  =====================================================================================
``<int>``   an expression of that type
``<=int>``  a variable of that type
``<n>``     a constant, a condition, or whatever else the table that it stands in has a word for
``$int:t``  a new variable of that type; ``$t`` is that variable again
``%a``      what a loop or a comprehension binds
``<@int>``  a variable of that type that may be changed; ``@``: the one that is to be
==========  =====================================================================================

``<int:a>`` and ``<=int:a>`` name what they were filled with, and ``<:a>`` repeats it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_HOLE = re.compile(r"<([=@]?)(\w*)(?::(\w))?>|\$(\w+?)(?::(\w+))?\b|%[a-z]\b|@(?!\w)")
_OPENED = re.compile(r"(?:^|[(\[{]|[,:] |(?<![=!<>])= |return )$")
_CLOSED = re.compile(r"[)\],}]|:\n|$")


class Hole(NamedTuple):
    """A hole of a pattern.

    Attributes:
        before: the text between the hole before and this one.
        role: empty: an expression; `=`: a variable; `@`: one that may be changed; `$`: a new one.
        kind: what goes into it; empty where `name` says it.
        name: by which what goes into it is known: `a`, `$t`, `%a` or `@`; empty: none.
        bare: an expression needs no parentheses there.
    """

    before: str
    role: str
    kind: str
    name: str
    bare: bool


class Pattern(NamedTuple):
    """A text that was split into its holes, and what follows the last of them."""

    holes: tuple[Hole, ...]
    tail: str


@lru_cache(maxsize=4096)
def parse(text: str) -> Pattern:
    """Split a pattern into its holes.

    >>> [hole[:4] for hole in parse("$int:t = <=int:a> + <:a> % <n>").holes]
    [('', '$', 'int', '$t'), (' = ', '=', 'int', 'a'), (' + ', '', '', 'a'), (' % ', '', 'n', '')]
    """
    holes, end = list[Hole](), 0
    for match in _HOLE.finditer(text):
        role, kind, name, new, label = (group or "" for group in match.groups())
        if new:
            role, kind, name = ("$", new, f"${label}") if label else ("", "", f"${new}")
        elif match[0][0] != "<":
            name = match[0]
        bare = _OPENED.search(text[: match.start()]) and _CLOSED.match(text, match.end())
        holes.append(Hole(text[end : match.start()], role, kind, name, bool(bare)))
        end = match.end()
    return Pattern(tuple(holes), text[end:])


def complete(text: str, *, changed: str = "", **names: object) -> str:
    """A pattern all of whose holes are known.

    Args:
        text: the pattern.
        changed: what `@` stands for.
        names: what `$x` stands for, as `x`.

    >>> complete("@.append($x * $k)", changed="xs", x="n", k=2)
    'xs.append(n * 2)'
    """
    holes, tail = parse(text)
    parts = (hole.before + (changed if hole.name == "@" else str(names[hole.name[1:]])) for hole in holes)
    return "".join(parts) + tail


def is_spaced(text: str) -> bool:
    """Whether an expression needs parentheses as an operand, having a space outside strings and brackets."""
    text = re.sub(r"'[^']*'", "s", _HOLE.sub("x", text))
    while text != (outside := re.sub(r"\([^()]*\)|\[[^][]*\]|\{[^{}]*\}", "", text)):
        text = outside
    return " " in text or text.startswith("-")

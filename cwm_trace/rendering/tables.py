"""What people are shown, before it is text, Markdown or HTML: tables of cells, and what each means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

_MOST = 15  # counts of a table


class Kind(Enum):
    """What a column holds; a renderer has a width and an alignment for it."""

    INDEX = "index"  # of the row
    NUMBER = "number"
    WORD = "word"
    CODE = "code"  # of a program, as long as it is
    MARK = "mark"  # two characters
    TEXT = "text"
    FIGURE = "figure"  # numbers with words beside them


class Mark(Enum):
    """What a row or a part of a cell means; a renderer has a look for it."""

    PLAIN = ""
    SAME = "same"
    CHANGED = "changed"
    VALUE = "value"
    RIGHT = "right"
    WRONG = "wrong"
    GIVEN = "given"
    FIRST = "first"  # the first wrong row


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a cell, and what it means."""

    text: str
    mark: Mark = Mark.PLAIN


Cell = str | Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column, and what is in it."""

    head: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Row:
    """A cell for each column, and what the row means."""

    cells: Sequence[Cell]
    mark: Mark = Mark.PLAIN


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title, with sentences below them. A table without rows is its sentences.

    Args:
        title: empty: none.
        columns, rows, notes: in their order.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot below the tables: its title, and SVG."""

    title: str
    svg: str


def text_table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> Table:
    """A table of words."""
    return Table(title, [Column(head) for head in heads], [Row(row) for row in rows], notes)


def figure_table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> Table:
    """A table of numbers, with words in its first column."""
    columns = [Column(head, Kind.FIGURE if at else Kind.TEXT) for at, head in enumerate(heads)]
    return Table(title, columns, [Row(row) for row in rows], notes)


def count_tables(groups: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """A table for each group of counts that has something in it; the longest are cut and say so."""
    return [
        figure_table(
            title.replace("_", " "),
            ["", ""],
            [[str(name), f"{count:,}"] for name, count in list(counts.items())[:_MOST]],
            [f"and {len(counts) - _MOST} more"] if len(counts) > _MOST else [],
        )
        for title, counts in groups.items()
        if counts
    ]


def pieces(cell: Cell) -> Sequence[Piece]:
    """A cell as its parts."""
    return [Piece(cell)] if isinstance(cell, str) else cell


def cell_text(cell: Cell) -> str:
    """A cell without its marks."""
    return "".join(piece.text for piece in pieces(cell))

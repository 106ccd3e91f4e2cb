"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from cwm_trace.rendering.tables import Cell, Column, Kind, Mark, Piece, Row, Table, cell_text, pieces

_COLUMNS: dict[Kind, dict[str, Any]] = {
    Kind.INDEX: {"justify": "right", "style": "dim", "no_wrap": True},
    Kind.NUMBER: {"justify": "right", "no_wrap": True},
    Kind.WORD: {"style": "cyan", "no_wrap": True},
    Kind.CODE: {"overflow": "fold"},
    Kind.MARK: {"width": 2},
    Kind.TEXT: {"overflow": "fold"},
    Kind.FIGURE: {"justify": "right", "overflow": "fold"},
}
_STYLES = {
    Mark.PLAIN: "",
    Mark.SAME: "dim",
    Mark.CHANGED: "bold yellow",
    Mark.VALUE: "bold",
    Mark.RIGHT: "green",
    Mark.WRONG: "bold red",
    Mark.GIVEN: "dim",
    Mark.FIRST: "on grey15",
}


_BETWEEN = 2  # spaces between columns
_NARROW = 16  # characters of a column of code, below which all of them stand in one
_AT_ONCE = 200  # rows of a long table, so that its beginning is there before its end is laid out


def print_tables(tables: Sequence[Table], console: Console | None = None) -> None:
    """Print tables one below the other."""
    console = console or Console()
    for table in tables:
        if table.title:
            console.print(Text(table.title, "bold"))  # a title of the grid's would be as narrow as the grid
        for grid in _grids(table, console.width):
            console.print(grid)
        for note in table.notes:
            console.print(note, highlight=False, markup=False)
        if table.title:
            console.print()


def _grids(table: Table, width: int) -> Iterator[Grid]:
    """A table in parts of equal columns; all of it where the columns are as wide as what is in them."""
    if not any(column.kind is Kind.CODE for column in table.columns):
        if table.rows:
            yield _grid(table.columns, table.rows, [None] * len(table.columns))
        return
    columns, rows = table.columns, table.rows
    widths = _widths(columns, rows, width)
    if min(w for w, column in zip(widths, columns, strict=True) if column.kind is Kind.CODE) < _NARROW:
        columns, rows = _stacked(columns, rows)
        widths = _widths(columns, rows, width)
    for start in range(0, len(rows), _AT_ONCE):
        yield _grid(columns, rows[start : start + _AT_ONCE], widths, has_head=not start)


def _widths(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[int]:
    """Columns of code share what the others leave."""
    widths = [
        0
        if column.kind is Kind.CODE
        else max([cell_len(column.head), *(cell_len(cell_text(row.cells[at])) for row in rows)])
        for at, column in enumerate(columns)
    ]
    codes = [at for at, column in enumerate(columns) if column.kind is Kind.CODE]
    left = max(width - sum(widths) - _BETWEEN * (len(columns) - 1), len(codes))
    for number, at in enumerate(codes):
        widths[at] = left // len(codes) + (number < left % len(codes))
    return widths


def _stacked(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[list[Column], list[Row]]:
    """All columns of code in the first of them, one below the other."""
    first, *others = (at for at, column in enumerate(columns) if column.kind is Kind.CODE)
    heads = " / ".join(column.head for column in columns if column.kind is Kind.CODE)

    def stack(row: Row) -> Row:
        cells: list[Cell] = [cell for at, cell in enumerate(row.cells) if at not in others]
        below = [[Piece("\n"), *pieces(row.cells[at])] for at in others if cell_text(row.cells[at])]
        cells[first] = [*pieces(row.cells[first]), *(piece for cell in below for piece in cell)]
        return Row(cells, row.mark)

    kept = [column for at, column in enumerate(columns) if at not in others]
    kept[first] = Column(heads, Kind.CODE)
    return kept, list(map(stack, rows))


def _grid(
    columns: Sequence[Column], rows: Sequence[Row], widths: Sequence[int | None], *, has_head: bool = True
) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.show_header = has_head and any(column.head for column in columns)
    for column, width in zip(columns, widths, strict=True):
        grid.add_column(
            Text(column.head),
            **(_COLUMNS[column.kind] | {"width": width} if width else _COLUMNS[column.kind]),
        )
    for row in rows:
        texts = [
            Text.assemble(*((piece.text, _STYLES[piece.mark]) for piece in pieces(cell)))
            for cell in row.cells
        ]
        grid.add_row(*texts, style=_STYLES[row.mark])
    return grid

"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from cwm_trace.rendering.tables import Kind, Mark, Table, pieces

_COLUMNS: dict[Kind, dict[str, Any]] = {
    Kind.INDEX: {"justify": "right", "style": "dim", "no_wrap": True},
    Kind.NUMBER: {"justify": "right", "no_wrap": True},
    Kind.WORD: {"style": "cyan", "no_wrap": True},
    Kind.CODE: {"ratio": 3, "overflow": "fold"},
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


def print_tables(tables: Sequence[Table], console: Console | None = None) -> None:
    """Print tables one below the other."""
    console = console or Console()
    for table in tables:
        if table.title:
            console.print(Text(table.title, "bold"))  # a title of the grid's would be as narrow as the grid
        if table.rows:
            console.print(_grid(table))
        for note in table.notes:
            console.print(note, highlight=False, markup=False)
        if table.title:
            console.print()


def _grid(table: Table) -> Grid:
    is_wide = any(column.kind is Kind.CODE for column in table.columns)
    grid = Grid(box=None, pad_edge=False, header_style="bold", expand=is_wide)
    grid.show_header = any(column.head for column in table.columns)
    for column in table.columns:
        grid.add_column(Text(column.head), **_COLUMNS[column.kind])
    for row in table.rows:
        texts = [
            Text.assemble(*((piece.text, _STYLES[piece.mark]) for piece in pieces(cell)))
            for cell in row.cells
        ]
        grid.add_row(*texts, style=_STYLES[row.mark])
    return grid

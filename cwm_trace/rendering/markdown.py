"""Tables as Markdown, of GitHub's kind."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cwm_trace.rendering.tables import Kind, Table, cell_text

_RIGHT = (Kind.INDEX, Kind.NUMBER, Kind.FIGURE)


def markdown(tables: Sequence[Table]) -> str:
    """Tables one below the other."""
    return "\n\n".join(map(_section, tables))


def _section(table: Table) -> str:
    lines = [f"### {table.title}", ""] if table.title else []
    if table.rows:
        kinds = [column.kind for column in table.columns]
        lines.append(_row([column.head for column in table.columns]))
        lines.append("|" + "|".join("--:" if kind in _RIGHT else "---" for kind in kinds) + "|")
        for row in table.rows:
            texts = map(cell_text, row.cells)
            lines.append(_row([_code(t) if k is Kind.CODE else t for k, t in zip(kinds, texts, strict=True)]))
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(text: str) -> str:
    """Text of a program, between more backticks than it has in a row."""
    if not text.strip():
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"

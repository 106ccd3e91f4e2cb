"""Counts as tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_MOST = 15


def print_counts(groups: Mapping[str, Mapping[str, Any]]) -> None:
    """A table for each group that has something in it; the longest are cut and say so."""
    console = Console()
    for title, counts in groups.items():
        if not counts:
            continue
        table = Table(title=title.replace("_", " "), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name, count in list(counts.items())[:_MOST]:
            table.add_row(str(name), f"{count:,}")
        if len(counts) > _MOST:
            table.add_row(f"and {len(counts) - _MOST} more", "")
        console.print(table)

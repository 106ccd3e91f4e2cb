"""Tables as HTML: a part of a page, as notebooks ask for it, or a page of its own.

Text is escaped; nothing of it becomes markup. There are no scripts and no links.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cwm_trace.rendering.tables import Kind, Mark, Picture, Piece, Table, pieces

_RIGHT = (Kind.INDEX, Kind.NUMBER, Kind.FIGURE)
_STYLE = (
    "<style>.cwm{font-family:sans-serif;font-size:14px;overflow-x:auto}"
    ".cwm table{border-collapse:collapse;margin:8px 0}.cwm th{border-bottom:1px solid}"
    ".cwm td,.cwm th{padding:1px 8px!important;vertical-align:top!important}"
    ".cwm td.code{font-family:monospace;white-space:pre-wrap!important}"
    ".cwm td.figure{white-space:nowrap}"
    ".cwm .wrong{color:#c00}.cwm .right{color:#080}.cwm .given{opacity:.55}.cwm .same{opacity:.6}"
    ".cwm tr.first{outline:2px solid #c00}.cwm .changed,.cwm .value{font-weight:bold}</style>"
)


def html_part(tables: Sequence[Table], pictures: Sequence[Picture] = ()) -> str:
    """Tables, and pictures below them, as a part of a page."""
    parts = ['<div class="cwm">', _STYLE]
    for table in tables:
        parts += [f"<h3>{escape(table.title)}</h3>"] if table.title else []
        if table.rows:
            heads = _row([_cell("th", column.kind, column.head) for column in table.columns])
            parts.append(f"<table><thead>{heads}</thead><tbody>")
            for row in table.rows:
                cells = zip(table.columns, row.cells, strict=True)
                parts.append(
                    _row([_cell("td", column.kind, *pieces(cell)) for column, cell in cells], row.mark)
                )
            parts.append("</tbody></table>")
        parts += [f"<p>{escape(note)}</p>" for note in table.notes]
    parts += [f"<h3>{escape(picture.title)}</h3>{picture.svg}" for picture in pictures]
    return "".join([*parts, "</div>"])


def html_page(tables: Sequence[Table], pictures: Sequence[Picture] = ()) -> str:
    """Tables, and pictures below them, as a page of its own."""
    head = '<meta charset="utf-8"><title>cwm-trace</title>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>{html_part(tables, pictures)}</body></html>\n"


def _row(cells: Sequence[str], mark: Mark = Mark.PLAIN) -> str:
    kind = f' class="{mark.value}"' if mark.value else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _cell(tag: str, kind: Kind, *parts: Piece | str) -> str:
    """Aligned where it stands: notebooks have rules of their own, and some drop style sheets."""
    side = "right" if kind in _RIGHT else "left"
    inner = "".join(escape(part) if isinstance(part, str) else _span(part) for part in parts)
    return f'<{tag} class="{kind.value}" style="text-align:{side}">{inner}</{tag}>'


def _span(piece: Piece) -> str:
    bare = piece.text.lstrip(" ")
    text = "\u00a0" * (len(piece.text) - len(bare)) + escape(bare)  # a notebook may drop spaces
    return f'<span class="{piece.mark.value}">{text}</span>' if piece.mark.value else text

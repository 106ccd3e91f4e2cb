"""What a record is shown as, and the forms that it is shown in."""

from __future__ import annotations

from importlib.util import find_spec

from cwm_trace.eval.benchmark.results import Results
from cwm_trace.eval.comparison import Comparison
from cwm_trace.records import Trace
from cwm_trace.rendering.benchmark import result_tables
from cwm_trace.rendering.frames import comparison_table, trace_table
from cwm_trace.rendering.html import html_page, html_part
from cwm_trace.rendering.markdown import markdown
from cwm_trace.rendering.plots import plot_figures
from cwm_trace.rendering.tables import Picture, Table

SHOWN_FRAMES = 200
"""Frames of one table, for a page or a notebook."""

Shown = Trace | Comparison | Results


def tables_of(record: Shown) -> list[Table]:
    """The tables of a record; long ones are cut and say so."""
    if isinstance(record, Trace):
        return [trace_table(record, 0, SHOWN_FRAMES)]
    if isinstance(record, Comparison):
        whole = len(record.pairs) <= SHOWN_FRAMES
        return [comparison_table(record, None if whole else SHOWN_FRAMES // 2)]
    return result_tables(record)


def notebook_html(record: Shown) -> str:
    """A record as a part of a notebook's page."""
    return html_part(tables_of(record))


def page_html(record: Shown) -> str:
    """A record as a page without scripts; results with plots where matplotlib is installed."""
    figures = plot_figures(record) if isinstance(record, Results) and find_spec("matplotlib") else []
    svgs = [(title, data.decode()) for _, title, data in figures]
    return html_page(tables_of(record), [Picture(title, svg[svg.index("<svg") :]) for title, svg in svgs])


def page_markdown(record: Shown) -> str:
    """A record as Markdown."""
    return markdown(tables_of(record))

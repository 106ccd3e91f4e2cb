"""How records show themselves, without knowing how anything is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Shown:
    """A record that people look at: in a notebook, as Markdown, as a page.

    Rendering imports the records that it draws. Records therefore find it by its name, when they are asked,
    and nowhere but here.
    """

    __slots__ = ()

    def to_markdown(self) -> str:
        """The tables as Markdown."""
        return str(_views().page_markdown(self))

    def to_html(self) -> str:
        """The tables as an HTML page without scripts; of results with plots where matplotlib is installed."""
        return str(_views().page_html(self))

    def _repr_html_(self) -> str:
        return str(_views().notebook_html(self))


def _views() -> Any:
    return import_module("cwm_trace.rendering.views")

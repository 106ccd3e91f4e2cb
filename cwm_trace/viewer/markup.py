"""The frame of a page: its policy lets no script run but the page's own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files


def read_asset(name: str) -> str:
    """The text of a file in `assets/`."""
    return (files("cwm_trace.viewer") / "assets" / name).read_text("utf-8")


def html_page(title: str, body: str, *, style: str, script: str, data: Sequence[tuple[str, str]] = ()) -> str:
    """A page that asks for nothing else.

    Args:
        title: text.
        body: markup.
        style: CSS.
        script: JavaScript; the only one that the page's policy lets run.
        data: ids and texts in base64, for the script to read.
    """
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"script-src 'sha256-{own}'; style-src 'unsafe-inline'"
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>{style}</style></head><body>",
        body,
        *(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in data),
        f"<script>{script}</script>",
        "</body></html>",
    ]
    return "\n".join(parts).encode("utf-8", "backslashreplace").decode()  # halves of surrogate pairs

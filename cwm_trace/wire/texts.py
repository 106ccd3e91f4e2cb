"""The two JSON texts inside a frame: LOCALS and VALUE."""

from __future__ import annotations

import json

_PAIRS = json.JSONDecoder(object_pairs_hook=list)  # `json.loads` would make one for each text


def parse_locals(text: str) -> tuple[dict[str, str] | None, str | None]:
    """LOCALS as variable texts, and what is wrong with it; None for what is not a JSON object of strings."""
    try:
        pairs = _PAIRS.decode(text)
    except (ValueError, RecursionError):
        return None, "the locals are not JSON"
    if not isinstance(pairs, list) or not text.lstrip().startswith("{"):
        return None, "the locals are not a JSON object"
    if not all(isinstance(value, str) for _, value in pairs):
        return None, "the locals hold something that is not a string"
    names = [escape_surrogates(name) for name, _ in pairs]
    state = dict(zip(names, (escape_surrogates(value) for _, value in pairs), strict=True))
    return state, "the locals name a variable twice" if len(state) < len(pairs) else None


def parse_value(text: str) -> tuple[str | None, str | None]:
    """VALUE as text, and what is wrong with it; None for what is not a JSON string."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None, "the value is not JSON"
    if not isinstance(value, str):
        return None, "the value is not a JSON string"
    return escape_surrogates(value), None


def escape_surrogates(text: str) -> str:
    r"""`text` with lone surrogates, which UTF-8 cannot hold, written as escapes.

    >>> print(escape_surrogates(chr(0xD800) + "a"))
    \ud800a
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

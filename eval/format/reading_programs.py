"""The fixed programs of `format probe`: twelve for each open point of the format, where its readings differ.

They are recorded when they are asked for, with heap addresses, so that every reading can be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from textwrap import dedent

from cwm_trace.records import Trace
from cwm_trace.tracer import session
from cwm_trace.tracer.target import load_text

NAMES = (
    ("total", "step"),
    ("count", "gap"),
    ("value", "shift"),
    ("score", "bonus"),
    ("width", "margin"),
    ("price", "tax"),
    ("limit", "slack"),
    ("size", "pad"),
    ("rate", "delta"),
    ("level", "rise"),
    ("x", "y"),
    ("n", "k"),
)
_ERRORS = ("ValueError", "KeyError", "TypeError", "IndexError", "RuntimeError", "LookupError")
_REASONS = ("too large", "bad input", "no such item")
CLASSES = ("Box", "Node", "Point", "Counter")
TEXTS = ("abc", "code", "world", "trace")

RAISING = """
    def check({a}):
        if {a} > {n}:
            raise {error}('{reason}')
        return {a}

    def run({a}, {b}):
        try:
            result = check({a} + {b})
        except {error}:
            result = {b}
        return result
"""
_CALLING = """
    def double({a}):
        return {a} * 2

    def run({a}, {b}):
        first = double({a} + {b})
        second = first - {b}
        return second
"""
_BUILDING = """
    class {cls}:
        def __init__(self, {a}):
            self.{a} = {a}

    def run({a}, {b}):
        made = {cls}({a} + {b})
        return made.{a}
"""
_ITERATING = """
    def run({a}, {b}):
        letters = iter('{text}' * {b})
        first = next(letters)
        return first
"""
SCRIPT = """
    {a} = {n}
    {b} = {a} + {m}
    result = {a} * {b}
    {a} = result - {b}
"""

TEMPLATES = {
    "exception_value": RAISING,
    "unwinding_return": RAISING,
    "addresses": _BUILDING,
    "str_iterator": _ITERATING,
    "diff_reset": _CALLING,
    "module_code": SCRIPT,
}
"""What shows each field of a profile."""


def write_programs(
    field: str, names: Sequence[tuple[str, str]] = NAMES, first: int = 0
) -> Iterator[tuple[str, str]]:
    """Write programs that show a field: source and call; the call of a script is empty.

    Args:
        field: of `FormatProfile`.
        names: of two variables, for each program.
        first: where the other choices begin.
    """
    for index, (a, b) in enumerate(names, first):
        n, m = 2 + index % 5, 1 + index % 3
        words = {
            "error": _ERRORS[index % len(_ERRORS)],
            "reason": _REASONS[index % len(_REASONS)],
            "cls": CLASSES[index % len(CLASSES)],
            "text": TEXTS[index % len(TEXTS)],
        }
        source = dedent(TEMPLATES[field]).lstrip("\n").format(a=a, b=b, n=n, m=m, **words)
        yield source, "" if TEMPLATES[field] is SCRIPT else f"run({n + 1}, {m})"


def record_program(source: str, call: str) -> Trace:
    """Record the real execution of a program in this process, heap addresses kept."""
    sink = session.Memory()
    options = session.Options(capture_output=True, keep_addresses=True)
    session.record_program(load_text(source, call), sink, options)
    return sink.trace


@cache
def record_programs(field: str) -> tuple[Trace, ...]:
    """The real traces that show a field of a profile."""
    return tuple(record_program(*program) for program in write_programs(field))

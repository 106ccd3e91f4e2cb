"""Lines after which execution has a choice: those with two or more successors in the control-flow graph.

The graph is that of the bytecode, which is what line events come from (`cwm_trace.flow.graph`): `if`, `while`
and `for` headers, the cases of a `match`, tests that a condition spreads over several lines. Exceptions are
no edges, and a choice within one line (`a if b else c`) is none.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from types import CodeType

from cwm_trace.flow.graph import line_events
from cwm_trace.records import Trace


class BranchLines:
    """The branch lines of a trace's files."""

    def __init__(self, trace: Trace) -> None:
        self._files = [branch_lines(file.text) for file in trace.files]

    def of(self, file: int, first: int) -> frozenset[int]:
        """Those of the function that is called on line `first` of a file, 0 for a script; else all."""
        if not 0 <= file < len(self._files):
            return frozenset()
        functions = self._files[file]
        lines = functions.get(first)
        return frozenset().union(*functions.values()) if lines is None else lines


@functools.lru_cache(maxsize=1 << 12)
def branch_lines(source: str) -> dict[int, frozenset[int]]:
    r"""Lines with two or more successors by the first line of their function; 0 for module-level code.

    Nothing for a text that does not compile.

    >>> branch_lines("def f(n):\n    if n:\n        return 1\n    return 2\n")
    {0: frozenset(), 1: frozenset({2})}
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, "<source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return {}
    found: dict[int, frozenset[int]] = {}
    for part in nested_code(code):
        first = 0 if part is code else part.co_firstlineno
        lines = {line for line, after in line_events(part) if len(after) > 1}
        found[first] = found.get(first, frozenset()) | lines
    return found


def nested_code(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested_code(constant)

"""Lines after which execution has a choice: those with two or more successors in the control-flow graph.

The graph is that of the bytecode, which is what line events come from: `if`, `while` and `for` headers, the
cases of a `match`, tests that a condition spreads over several lines. Exceptions are no edges, and a choice
within one line (`a if b else c`) is none.
"""

from __future__ import annotations

import dis
import functools
import warnings
from collections.abc import Iterator
from types import CodeType

from cwm_trace.records import Trace

_NO_FALL = frozenset(
    (
        "JUMP_FORWARD",
        "JUMP_BACKWARD",
        "JUMP_BACKWARD_NO_INTERRUPT",
        "JUMP_ABSOLUTE",
        "RETURN_VALUE",
        "RETURN_CONST",
        "RAISE_VARARGS",
        "RERAISE",
    )
)
_SETS_HANDLER = frozenset(("SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH"))  # 3.10: to the handler
_EXIT = 0  # the successor of a line that returns
_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))


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
    for part in _nested(code):
        first = 0 if part is code else part.co_firstlineno
        lines = {line for line, after in _line_events(part) if len(after) > 1}
        found[first] = found.get(first, frozenset()) | lines
    return found


def line_successors(code: CodeType) -> dict[int, set[int]]:
    """The lines whose event can come next after each line's within one function; 0 for its return.

    A jump back to the same line is an event of its own.
    """
    found: dict[int, set[int]] = {}
    for line, after in _line_events(code):
        found.setdefault(line, set()).update(after)
    return found


def _line_events(code: CodeType) -> list[tuple[int, set[int]]]:
    """Every place where a line's event happens, with the lines that can come next from there.

    A line can have several: a call over several lines comes back to its first one, without any choice.
    """
    line_of: dict[int, int] = {}
    for start, end, line in code.co_lines():
        line_of.update(dict.fromkeys(range(start, end, 2), line or -1))
    instructions = list(dis.get_instructions(code))
    if not instructions:
        return []
    edges = _edges(instructions)
    found: dict[int, set[int]] = {}
    seen: set[tuple[int, int]] = set()
    stack = [(instructions[0].offset, -1)]  # an instruction, and the one where the last event happened
    while stack:
        offset, event = stack.pop()
        if (offset, event) in seen:
            continue
        seen.add((offset, event))
        current = line_of.get(event, -1)
        for target, backward in edges[offset]:
            line = _EXIT if target < 0 else line_of.get(target, -1)
            happens = line >= 0 and (line != current or backward)
            if happens and current > 0:
                found.setdefault(event, set()).add(line)
            if target >= 0:
                stack.append((target, target if happens else event))
    return [(line_of[event], after) for event, after in found.items()]


def _edges(instructions: list[dis.Instruction]) -> dict[int, list[tuple[int, bool]]]:
    """Where control can go from each instruction, -1 out of the function, and whether that is backward."""
    edges: dict[int, list[tuple[int, bool]]] = {}
    for index, instruction in enumerate(instructions):
        after = edges.setdefault(instruction.offset, [])
        name = instruction.opname
        if instruction.opcode in _JUMPS and name not in _SETS_HANDLER:
            after.append((instruction.argval, instruction.argval <= instruction.offset))
        if name in ("RETURN_VALUE", "RETURN_CONST"):
            after.append((-1, False))
        elif name not in _NO_FALL and index + 1 < len(instructions):
            after.append((instructions[index + 1].offset, False))
    return edges


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)

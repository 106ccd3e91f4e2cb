"""What the instruction that is running tells: what a RETURN event means, which variables must not be read."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FrameType

from cwm_trace.tracer.interpreter import (
    READING_BORROWED_CELLS_CRASHES,
    SUSPENDED_AFTER_YIELD,
    SUSPENDED_BEFORE_YIELD_FROM,
)

_RETURNS = frozenset(dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap)
_YIELD_VALUE = dis.opmap["YIELD_VALUE"]
_YIELD_FROM = dis.opmap.get("YIELD_FROM", -1)
_YIELD_OFFSET = -2 if SUSPENDED_AFTER_YIELD else 0


def leaves_by_exception(frame: FrameType, raised_at: int) -> bool:
    """Whether the `return None` that is being reported is an exception leaving the frame.

    Args:
        frame: the frame.
        raised_at: its `f_lasti` at the last event, if that was an exception, else -1. An exception that is
            thrown into a generator leaves from the very `yield` that it was suspended at.
    """
    at = frame.f_lasti
    if at < 0:
        return True
    if frame.f_code.co_code[at] in _RETURNS:
        return False
    return not suspends(frame) or at == raised_at


def suspends(frame: FrameType) -> bool:
    """Whether the return that is being reported is at a `yield` or an `await`."""
    code, at = frame.f_code.co_code, frame.f_lasti
    if at < 0:
        return False
    if at + _YIELD_OFFSET >= 0 and code[at + _YIELD_OFFSET] == _YIELD_VALUE:
        return True
    return SUSPENDED_BEFORE_YIELD_FROM and at + 2 < len(code) and code[at + 2] == _YIELD_FROM


def borrowed_cells(code: CodeType) -> tuple[tuple[str, range], ...]:
    """Names of cells whose place an inlined comprehension uses, and while which instructions it does."""
    if not (READING_BORROWED_CELLS_CRASHES and code.co_cellvars and _CLEAR in code.co_code[::2]):
        return ()
    return tuple(_borrowed(list(dis.get_instructions(code)), frozenset(code.co_cellvars), len(code.co_code)))


def _borrowed(
    instructions: list[dis.Instruction], cells: frozenset[str], end: int
) -> Iterator[tuple[str, range]]:
    for at, first in enumerate(instructions):
        if first.opname == "LOAD_FAST_AND_CLEAR" and first.argval in cells:
            loops, last = 0, end
            for one in instructions[at + 1 :]:
                loops += (one.opname in _LOOPS) - (one.opname in _ENDS)
                if one.opname in _ENDS:
                    last = (
                        -1
                    )  # if this was the outermost loop, the next instruction that stores it is the last
                elif not loops and last < 0 and _stores(one, first.argval):
                    last = one.offset
                    break
            yield first.argval, range(first.offset, (last if last >= 0 else end) + 1)
        elif first.opname == "RERAISE":  # where an exception leaves it, the cell is put back as well
            for one in instructions[max(0, at - _HANDLER) : at]:
                for name in cells:
                    if _stores(one, name):
                        yield name, range(instructions[max(0, at - _HANDLER)].offset, one.offset + 1)


def _stores(one: dis.Instruction, name: str) -> bool:
    names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
    return one.opname.startswith("STORE_FAST") and name in names


_CLEAR = dis.opmap.get("LOAD_FAST_AND_CLEAR", -1)
_LOOPS = frozenset(["FOR_ITER", "GET_ANEXT"])
_ENDS = frozenset(["END_FOR", "END_ASYNC_FOR"])
_HANDLER = 8  # instructions at the most, with as many variables as comprehensions have

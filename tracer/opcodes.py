"""What a RETURN event means, which `settrace` leaves open: the instruction that was running tells."""

from __future__ import annotations

import dis
from types import FrameType

_RETURNS = frozenset(
    dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST", "RETURN_GENERATOR") if name in dis.opmap
)
_YIELDS = frozenset(dis.opmap[name] for name in ("YIELD_VALUE", "YIELD_FROM", "SEND") if name in dis.opmap)


def leaves_by_exception(frame: FrameType) -> bool:
    """Whether the `return None` that is being reported is an exception leaving the frame."""
    opcode = _opcode(frame)
    return opcode not in _RETURNS and opcode not in _YIELDS


def suspends(frame: FrameType) -> bool:
    """Whether the return that is being reported is a `yield` or an `await`."""
    return _opcode(frame) in _YIELDS


def _opcode(frame: FrameType) -> int:
    return frame.f_code.co_code[frame.f_lasti] if frame.f_lasti >= 0 else -1

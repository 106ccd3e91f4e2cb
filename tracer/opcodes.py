"""What a RETURN event means, which `settrace` leaves open: the instruction that was running tells."""

from __future__ import annotations

import dis
from types import FrameType

from cwm_trace.tracer.interpreter import SUSPENDED_AFTER_YIELD, SUSPENDED_BEFORE_YIELD_FROM

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

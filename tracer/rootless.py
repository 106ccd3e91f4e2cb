"""Running a program as the first frame of its thread, as the interpreter itself runs one.

A program can look above itself (`inspect.stack`, `warnings.warn(stacklevel=2)`, `sys._getframe().f_back`) and
must not see a tracer there. No Python code can end the chain of frames; so the link from the program's first
frame to ours is cut in memory while it runs, by the layouts of the four CPython versions, each of which is
checked against addresses that are known. Where one does not fit, the link stays, and the program sees us.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

try:
    import ctypes
except ImportError:  # an interpreter that was built without
    _HAS_CTYPES = False
else:
    _HAS_CTYPES = True

_WORD = 8
_INNER = 3 * _WORD
"""In a frame object: the interpreter's frame; in 3.10, which has no such thing, `f_back`."""

_CODE, _PREVIOUS = (4 * _WORD, 6 * _WORD) if sys.version_info[:2] == (3, 11) else (0, _WORD)
"""In the interpreter's frame: the code object, and the link to the frame below."""

_THREADS_FRAME = 3 * _WORD
"""In the thread state of 3.10: its frame object."""

_LINK_IS_FOLLOWED = sys.version_info[:2] in ((3, 10), (3, 13))
"""On return the interpreter takes its current frame from the link; 3.11 and 3.12 have that elsewhere."""

Trace = Callable[[FrameType, str, Any], Any]


def call_first(
    function: Callable[..., Any],
    *args: Any,
    trace: Trace,
    when_first_returns: Callable[[Any], None],
    watch_return: Callable[[FrameType, Any], object] | None = None,
) -> Any:
    """Call a function, with `trace` as the trace function from its first frame on.

    Args:
        function: what is called. One of C, such as `exec`, has no frame: what it runs is the first.
        args: what it is called with.
        trace: the trace function.
        when_first_returns: is given what has to be called in the RETURN of the first frame, if `trace` has a
            local trace function for that.
        watch_return: of a trace function in C, which calls no local ones: it is given the first frame, and
            what has to be called when that returns, if it is not recorded.

    Returns:
        What the function returns.
    """
    here = sys._getframe()
    links: list[_Link] = []
    word = _threads_frame(here)

    def on_first_call(frame: FrameType, event: str, arg: Any) -> Any:
        link = _Link(frame, here)
        links.append(link)
        sys.settrace(trace)
        local = trace(frame, event, arg)
        if local is None and watch_return is not None:
            watch_return(frame, link.mend)
            return None
        if local is None:
            return lambda _frame, event, _arg: link.mend() if event == "return" else None
        when_first_returns(link.mend)
        return local

    try:
        sys.settrace(on_first_call)
        return partial(function)(
            *args
        )  # called from C, so that its frame hangs on an entry to the interpreter
    finally:
        if word is not None:
            word.value = id(here)  # where the first frame's RETURN was not seen; not in a function: see 3.10
        for link in links:
            link.let_go()


def frames_below() -> int:
    """How many frames the caller's stack has, its own included."""
    count, frame = 0, sys._getframe().f_back
    while frame is not None:
        count, frame = count + 1, frame.f_back
    return count


class _Link:
    """The link from a frame to the one below, cut."""

    def __init__(self, frame: FrameType, below: FrameType) -> None:
        self._frame: FrameType | None = frame  # its memory must stay
        self._word = _link_of(frame, below)
        self._value: int | None = None
        if self._word is not None:
            self._value, self._word.value = self._word.value, None

    def mend(self) -> None:
        """Put the link back where the interpreter is about to follow it."""
        if _LINK_IS_FOLLOWED and self._value is not None:
            self._word.value, self._value = self._value, None

    def let_go(self) -> None:
        """Forget the frame."""
        self._frame = None


def _threads_frame(here: FrameType) -> Any:
    """Where 3.10 has the frame of the running thread, as a `c_void_p`; None in other versions."""
    if sys.version_info >= (3, 11) or not _is_known():
        return None
    state = ctypes.pythonapi.PyThreadState_Get
    state.restype = ctypes.c_void_p
    word = ctypes.c_void_p.from_address(state() + _THREADS_FRAME)
    return word if sys._getframe().f_back is here else None


def _is_known() -> bool:
    """Whether this is an interpreter whose layouts are those above."""
    if sys.implementation.name != "cpython" or hasattr(sys, "gettotalrefcount") or sys.maxsize < 2**32:
        return False
    if not (3, 10) <= sys.version_info < (3, 14) or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    return _HAS_CTYPES


def _link_of(frame: FrameType, below: FrameType) -> Any:
    """The word in memory that links a frame to the one below it, as a `c_void_p`; None if it is not found."""
    if frame.f_back is not below or not _is_known():
        return None
    word = ctypes.c_void_p.from_address
    if sys.version_info < (3, 11):
        link = word(id(frame) + _INNER)
        return link if link.value == id(below) else None
    inner, target = word(id(frame) + _INNER).value, word(id(below) + _INNER).value
    if not inner or not target or word(inner + _CODE).value != id(frame.f_code):
        return None
    link = word(inner + _PREVIOUS)
    if sys.version_info >= (3, 12) and link.value:  # the entry to the interpreter lies between
        link = word(link.value + _PREVIOUS)
    return link if link.value == target else None

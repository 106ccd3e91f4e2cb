"""The compiled recorder: the events are recorded in C, what is decided once is decided here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from cwm_trace.records import Limits, Outcome
from cwm_trace.tracer import values
from cwm_trace.tracer.extension import Engine, Log, Stack, give_recursion_levels
from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS, is_foreign, was_sent
from cwm_trace.tracer.opcodes import leaves_by_exception, suspends
from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.sources import Sources
from cwm_trace.tracer.values import Describer, TimeLimitReached


class CompiledRecorder(Engine, Recorder):
    """Records as a `Recorder` does, byte for byte.

    Args:
        log: takes the lines of frames.
        rewrite_line: of one that holds a lone surrogate, as the log is to have it.
        sources, describer, limits, is_entry: as for `Recorder`.
    """

    kind = "c"
    calls_local_functions = False

    def __init__(
        self,
        log: Log,
        rewrite_line: Callable[[bytes], bytes],
        *,
        sources: Sources,
        describer: Describer,
        limits: Limits = Limits(),
        is_entry: Callable[[Any], bool] | None = None,
    ) -> None:
        Recorder.__init__(
            self, sources=sources, describer=describer, emit=_none, limits=limits, is_entry=is_entry
        )
        self.log = log
        self._rewrite_line = rewrite_line
        self.max_frames = _or_any(limits.max_frames)
        self.max_bytes = _or_any(limits.max_bytes)
        self.max_depth = _or_any(limits.max_depth)
        self.max_characters = -1 if describer.max_chars is None else describer.max_chars
        self.keep_addresses = describer.keep_addresses
        self.expands = describer.expand_objects > 0

    def new_stack(self) -> Stack:
        """A stack with the next number."""
        return Stack(next(self._stacks))

    def use_stack(self, stack: Any) -> None:
        """Let the running thread go on with another stack."""
        self._threads.stack = stack
        self.stack = stack

    @contextmanager
    def recursion_levels(self, levels: int) -> Iterator[None]:
        """Let the program go as deep as if so many frames were not below it."""
        give_recursion_levels(levels)
        try:
            yield
        finally:
            give_recursion_levels(-levels)

    def find(self, frame: FrameType) -> int | None:
        """The number of the source file of a frame's code; None: it is not recorded."""
        code = id(frame.f_code)
        self.keeps_codes = True
        if code in self._numbers:
            return self._numbers[code]
        found = self._find(frame)
        self.keeps_codes = self._numbers is self.sources.numbers
        return found

    def enters(self, code: CodeType) -> bool:
        """Whether this is the code that recording begins with."""
        return self._is_entry is None or self._is_entry(code)

    def is_suspended(self, frame: FrameType) -> bool:
        """Whether the return that is being reported is at a `yield` or an `await`."""
        return suspends(frame)

    def leaves_by_exception(self, frame: FrameType, raised_at: int) -> bool:
        """Whether the return that is being reported to Python without a value is an exception's."""
        return leaves_by_exception(frame, raised_at)

    def reach_limit(self, is_of_frames: bool) -> None:
        """As many frames are recorded as may be, or as many bytes."""
        self._end(Outcome.FRAME_LIMIT if is_of_frames else Outcome.BYTE_LIMIT)

    def unrepresentable(self, value: object, error: BaseException) -> str | None:
        """The text of a value whose `repr` has raised; None if the error has to reach the program."""
        return None if _is_the_programs(error) else values.unrepresentable(value, error)

    def unprintable(self, error: object, failure: BaseException) -> str | None:
        """The text of an exception whose `str` has raised; None if the failure has to reach the program."""
        return None if _is_the_programs(failure) else values.unprintable(error, failure)

    def expand(self, value: object) -> str:
        """The text of a value whose objects are shown as what they hold."""
        return self.describer.text(value)

    def is_foreign(self, error: BaseException) -> bool:
        """Whether an exception that came up between the program's events has to reach it."""
        return is_foreign(error)

    def rewrite(self, line: bytes) -> bytes:
        """A line that holds a lone surrogate."""
        return self._rewrite_line(line)


def _is_the_programs(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | TimeLimitReached) or was_sent(error, into_program=True)


def _or_any(limit: int | None) -> int:
    return sys.maxsize if limit is None else limit


def _none(_: object) -> None:
    """Frames are written in C."""


TRACE_FUNCTIONS.update(
    method.__code__
    for method in (
        CompiledRecorder.find,
        CompiledRecorder.enters,
        CompiledRecorder.current_stack,
        CompiledRecorder.finish_entry,
        CompiledRecorder.is_suspended,
        CompiledRecorder.leaves_by_exception,
        CompiledRecorder.reach_limit,
        CompiledRecorder.fail,
        CompiledRecorder.unrepresentable,
        CompiledRecorder.unprintable,
        CompiledRecorder.expand,
        CompiledRecorder.is_foreign,
        CompiledRecorder.rewrite,
    )
)

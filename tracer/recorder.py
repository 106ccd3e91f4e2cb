"""The recorder: its trace function chooses the activations that are recorded, and hands their frames on.

Coverage tools cannot see into a trace function, so whatever can be tested apart lives elsewhere: `values`
(text), `scope` and `sources` (whose code), `interrupts` (signals), `opcodes` (what a RETURN means).
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from cwm_trace.records import FrameFields, Limits, Outcome
from cwm_trace.tracer.activation import Activation, Stack
from cwm_trace.tracer.extension import engine_of_thread
from cwm_trace.tracer.greenlets import are_there, follow_greenlets
from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS, is_cut_short, is_foreign, let_through
from cwm_trace.tracer.sources import Sources
from cwm_trace.tracer.values import Describer, TimeLimitReached

Emit = Callable[[FrameFields], object]

_UNKNOWN = -1


class _Threads(threading.local):
    """The stack of what runs in the thread: itself, or one of its greenlets.

    Stacks are numbered in the order of their first recorded call.
    """

    def __init__(self, begin: Callable[[_Threads], None]) -> None:
        self.stack: Any
        self.stop_following: Callable[[], bool] | None = None
        begin(self)


class Recorder:
    """Records the current thread between `start` and `stop`, and threads that start from recorded ones.

    Args:
        sources: the source file of each code object, if that is recorded.
        describer: gives the text, type and size of values.
        emit: takes each frame as it happens.
        limits: `max_frames`, `max_bytes` and `max_depth` are kept here.
        is_entry: if given, recording begins with the first call of a code object for which it is true, and
            ends when that returns.
    """

    kind = "python"
    calls_local_functions = True
    """Whether what the trace function returns is called with the other events of the frame."""

    def __init__(
        self,
        *,
        sources: Sources,
        describer: Describer,
        emit: Emit,
        limits: Limits = Limits(),
        is_entry: Callable[[Any], bool] | None = None,
    ) -> None:
        self.describer = describer
        self.emits = Recorder.record.__code__
        self.outcome: Outcome | None = None
        self.failure: OSError | None = None
        self.frames = 0
        self.bytes = 0
        self.skipped = 0
        self.missed = 0
        self.replaced = False
        self.displaced = ""
        self.interrupted = False
        self.lost_greenlets = False
        self.lost_threads = 0
        self.forked = False
        self.entered = is_entry is None
        self.active = False
        self.hidden: frozenset[str] = frozenset()
        """Variables of modules that are not the user's: what IPython binds."""
        self.when_entry_returns: Callable[[], object] = lambda: None
        self.sources = sources
        self._numbers = sources.numbers
        self._emit = emit
        self._max_frames = sys.maxsize if limits.max_frames is None else limits.max_frames
        self._max_bytes = sys.maxsize if limits.max_bytes is None else limits.max_bytes
        self._max_depth = sys.maxsize if limits.max_depth is None else limits.max_depth
        self._is_entry = is_entry
        self._activations = itertools.count()
        self._stacks = itertools.count()
        self._threads = _Threads(self._begin_thread)
        self._main: tuple[Any, str] | None = None
        self._owner = 0
        self._previous: Any = None
        self._outer: Any = None

    def start(self) -> None:
        """Install the trace function; the one there was is put back by `stop`."""
        if self.prepare():
            self.install()

    def prepare(self) -> bool:
        """Do all that `start` does but that, and say whether it is to be done."""
        if self.failure is not None:
            return False
        self._owner = threading.get_ident()
        self._previous, self._outer = sys.gettrace(), engine_of_thread()
        outer = self._outer or getattr(self._previous, "__self__", None)
        if isinstance(
            outer, Recorder
        ):  # a recording around this one, or what is left of one in another thread
            outer.interrupted = outer.interrupted or outer.active
        elif self._previous is not None:
            kind = type(self._previous)
            self.displaced = f"another trace function ({kind.__module__}.{kind.__qualname__})"
        self.active = True
        return True

    def stop(self) -> None:
        """End the recording; in the thread that started it, put the previous trace function back."""
        self.active = False
        if threading.get_ident() != self._owner:  # never started, stopped before, or another thread
            if self.is_installed():
                self.uninstall()
            return
        self._owner = 0
        if self._threads.stop_following is not None:
            self.lost_greenlets = not self._threads.stop_following()
            self._threads.stop_following = None
        if not self.is_installed():
            # somebody else's by now: a debugger, a coverage tool, or nobody's after a RecursionError
            self.replaced = True
            return
        self.uninstall()
        if self._outer is not None:
            self._outer.install()
        elif self._previous is not None:
            sys.settrace(self._previous)

    def watch_return(self, frame: FrameType, function: Callable[[], object], /) -> None:
        """Call a function when a frame returns, if local trace functions are not called."""

    def recursion_levels(self, _levels: int) -> AbstractContextManager[object]:
        """Let the program go as deep as if so many frames were not below it: not in Python."""
        return nullcontext()

    def install(self) -> None:
        """Trace the current thread."""
        sys.settrace(self.on_call)

    def is_installed(self) -> bool:
        """Whether the current thread is traced by this recorder."""
        return sys.gettrace() == self.on_call

    def uninstall(self) -> None:
        """Trace the current thread no longer."""
        sys.settrace(None)

    def leave_to_parent(self) -> None:
        """In a forked child: the recording belongs to the parent alone."""
        self.forked = True
        self.active = False
        if self.is_installed():
            self.uninstall()

    def leave_thread(self) -> None:
        """At the end of a thread that was begun recorded: notice whether it still is."""
        if self.active and not self.is_installed():
            self.lost_threads += 1

    def on_call(self, frame: FrameType, event: str, _arg: Any) -> Any:
        """The trace function of calls; nothing of its own gets out into the program."""
        activation: Activation | None = None
        try:
            if not self.active or event != "call":
                return None
            threads = self._threads
            code = frame.f_code
            file = self._numbers.get(id(code), _UNKNOWN)
            if file is _UNKNOWN:
                file = self._find(frame)
            if file is None:
                return None
            if not self.entered:
                if not (self._is_entry and self._is_entry(code)):
                    return None
                self.entered = True
            stack = threads.stack
            depth = stack.depth
            activation = self._resumed(frame)
            if activation is None:
                if depth > self._max_depth:
                    self.skipped += 1
                    return None
                activation = Activation(self, next(self._activations), file, code)
            activation.enter(stack)
            activation.on_state("call", frame)
            return frame.f_trace or activation.on_event
        except RecursionError:
            # There is no room for events. Nothing is called here: that would raise the next error, with this
            # frame in the traceback that the program sees.
            self.active, self.replaced = False, True
            return None
        except BaseException as error:
            if activation is not None:
                stack.depth = depth
            if is_foreign(error):
                if activation is not None and not is_cut_short(error, self.emits):
                    activation.leave(frame)
                let_through(frame, self.on_call, self.on_call)
                raise
            self.missed += 1
            return None

    def _resumed(self, frame: FrameType) -> Activation | None:
        """The activation of a frame that was called before: a generator's."""
        activation = getattr(frame.f_trace, "__self__", None)
        if type(activation) is Activation and activation.recorder is self:
            return activation
        return None

    def record(self, fields: FrameFields) -> None:
        """Hand a frame on, and stop recording at a limit."""
        try:
            self._emit(fields)
        except OSError as error:  # a full disk, a closed pipe: the program must not notice
            self.fail(error)
            return
        self.frames += 1
        if self.frames >= self._max_frames:
            self._end(Outcome.FRAME_LIMIT)
        elif self.bytes >= self._max_bytes:
            self._end(Outcome.BYTE_LIMIT)

    def is_recorded(self, frame: FrameType) -> bool:
        """Whether a frame is that of a recorded activation."""
        return self._resumed(frame) is not None

    def current_stack(self) -> Any:
        """The stack of the running thread."""
        return self._threads.stack

    def new_stack(self) -> Any:
        """A stack with the next number."""
        return Stack(next(self._stacks))

    def use_stack(self, stack: Any) -> None:
        """Let the running thread go on with another stack."""
        self._threads.stack = stack

    def _begin_thread(self, threads: _Threads) -> None:
        threads.stack = self.new_stack()
        if are_there():
            self._follow_greenlets(threads)

    def _follow_greenlets(self, threads: _Threads) -> bool:
        """Give each greenlet of this thread a stack of its own; False if that is not possible yet."""
        stacks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        first = [threads.stack]

        def go_on(greenlet: Any) -> None:
            stack = stacks.get(greenlet)
            if stack is None:
                stack = stacks[greenlet] = first.pop() if first else self.new_stack()
            if stack is not threads.stack:  # as it is at first, when this recorder is still being made
                self.use_stack(stack)

        threads.stop_following = follow_greenlets(go_on)
        return threads.stop_following is not None

    def fail(self, error: OSError) -> None:
        """Nothing more can be recorded."""
        self.failure = error
        self._end(Outcome.INCOMPLETE)

    def finish_entry(self, raised: type[BaseException] | None) -> None:
        """The entry has returned, or `raised` has left it: nothing after it is recorded."""
        self.when_entry_returns()
        if self._is_entry is not None:
            self._end(outcome_of(raised))

    def _end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
        self.stop()

    def keep_preamble_apart(self, filename: str) -> None:
        """Until the module of that file runs as `__main__`, what is recorded is a stream of its own.

        `-m` imports the packages around a module first; the main stream is that of the module alone.
        """
        self._main = self._threads.stack, filename
        self.use_stack(self.new_stack())

    def _find(self, frame: FrameType) -> int | None:
        """The number of the source file of a frame's code, which is seen for the first time."""
        back = frame.f_back
        if self._threads.stop_following is None and are_there():
            # asked again at every call until the module, which is being imported, can be followed
            self._numbers = self.sources.numbers if self._follow_greenlets(self._threads) else {}
        if self._main is not None:
            stack, filename = self._main
            if frame.f_code.co_filename == filename and frame.f_globals.get("__name__") == "__main__":
                self._main = None
                self.use_stack(stack)
        return self.sources.find(frame, run_by_user=back is not None and self.is_recorded(back))


def outcome_of(raised: type[BaseException] | None) -> Outcome:
    """How an execution ended that an exception of this type left; None: it returned."""
    if raised is None:
        return Outcome.RETURNED
    if issubclass(raised, TimeLimitReached):
        return Outcome.TIMED_OUT
    if issubclass(raised, SystemExit):
        return Outcome.EXITED
    return Outcome.KILLED if issubclass(raised, KeyboardInterrupt) else Outcome.RAISED


TRACE_FUNCTIONS.add(Recorder.on_call.__code__)

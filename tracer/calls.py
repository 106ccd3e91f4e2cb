"""One call of something that can be called, recorded as what it is.

A coroutine is awaited, a generator exhausted, of a class the construction of an instance is recorded. Where
the caller awaits or iterates itself, as a decorated function's does, a `CallRecording` records step by step:
only while the callee runs, whatever else the thread does in between.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from types import CodeType, FunctionType, MethodType, WrapperDescriptorType
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Program
from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.scope import Scope
from cwm_trace.tracer.session import (
    Block,
    Ending,
    Memory,
    Options,
    Sink,
    folder_of,
    make_header,
    record_run,
)
from cwm_trace.tracer.sources import source_of

_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE
_LAZY = _COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_MOST_WRAPPERS = 100


def record_call(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    sink: Sink,
    options: Options = Options(),
) -> Ending:
    """Call something and record from its first frame to its return.

    A coroutine is awaited in an event loop of its own, a generator is exhausted, a context manager that is
    made of one entered and left; of a class everything that constructing an instance runs is recorded.

    Raises:
        CwmTraceError: it has no Python code, or needs an event loop where one is running already.
    """
    is_class = isinstance(function, type)
    entered = _implementation(function, args)
    home = _file_of_class(function) if isinstance(function, type) else entry_code(entered).co_filename
    scope = Scope(home, folder_of(home), include=options.include, exclude=options.exclude)
    code = _constructor_code(function, scope) if isinstance(function, type) else entry_code(entered)
    name = function.__name__ if code is None else code.co_name
    if code is not None and code.co_flags & (_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        _require_no_loop(name)
    source = None if code is None else source_of(code, getattr(function, "__globals__", {}))
    line = 0 if code is None else code.co_firstlineno
    header = make_header(options, Program(() if source is None else (source,), name, line))
    result: list[Any] = [None]

    def run(recorder: Recorder) -> None:
        if code is not None and source is not None:
            recorder.sources.know(code, source)
        recorder.start()
        value = function(*args, **kwargs)
        if code is not None and code.co_flags & _LAZY:
            value = _run_to_its_end(value)
        result[0] = value

    def is_entry(candidate: CodeType) -> bool:
        return candidate is code

    ending = record_run(run, header, sink, options, scope, None if is_class else is_entry)
    return replace(ending, value=result[0])


def entry_code(target: Any) -> CodeType:
    """The Python code that a call of `target` enters, below its decorators.

    Raises:
        CwmTraceError: it has no Python code.
    """
    code = _code_below(target)
    if code is None:
        raise CwmTraceError(f"{target!r} has no Python code to trace: give a function written in Python")
    return code


def _implementation(function: Callable[..., Any], args: Sequence[Any]) -> Callable[..., Any]:
    """What a call comes to: of a `functools.singledispatch` what is registered for the first argument."""
    dispatch: Any = None
    owner = getattr(getattr(function, "register", None), "__self__", None)
    if isinstance(owner, functools.singledispatchmethod):
        dispatch = owner.dispatcher.dispatch
    elif isinstance(function, FunctionType) and hasattr(function, "registry"):
        dispatch = getattr(function, "dispatch", None)
    if not dispatch or not args:
        return function
    found: Callable[..., Any] = dispatch(type(args[0]))
    return found


def _constructor_code(kind: type, scope: Scope) -> CodeType | None:
    """The first of the user's own code that constructing an instance enters; None if there is none."""
    functions: list[Any] = [type(kind).__call__]
    functions += [getattr(kind, name, None) for name in ("__new__", "__init__", "__post_init__")]
    codes = [_code_below(function) for function in functions]
    return next((code for code in codes if code is not None and scope.covers(code.co_filename)), None)


def _file_of_class(kind: type) -> str:
    """The file in which a class was written.

    Raises:
        CwmTraceError: it was not written in Python.
    """
    for member in vars(kind).values():
        code = _code_below(member)
        if code is not None and not code.co_filename.startswith("<string>"):
            return code.co_filename
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        raise CwmTraceError(f"{kind!r} has no Python code to trace: give a class written in Python")
    return file


def _code_below(target: Any) -> CodeType | None:
    for _ in range(_MOST_WRAPPERS):
        if isinstance(target, functools.partial):
            target = target.func
        elif isinstance(target, MethodType | staticmethod | classmethod):
            target = target.__func__
        elif hasattr(target, "__wrapped__"):
            target = target.__wrapped__
        elif isinstance(target, FunctionType):
            return target.__code__
        else:
            call = getattr(type(target), "__call__", None)  # noqa: B004 (the method itself is needed)
            if isinstance(target, type) or call is None or isinstance(call, WrapperDescriptorType):
                return None
            target = call
    return None


def is_lazy(code: CodeType) -> bool:
    """Whether calling a function with this code runs nothing of it yet."""
    return bool(code.co_flags & _LAZY)


def _require_no_loop(name: str) -> None:
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise CwmTraceError(
            f"{name} is asynchronous and an event loop is already running in this thread:"
            f" await record({name})(…) there instead"
        )


def _run_to_its_end(value: Any) -> Any:
    """Await or exhaust what a call has returned."""
    if inspect.isgenerator(value) and not value.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE:
        try:
            while True:
                next(value)
        except StopIteration as end:
            return end.value
    if isinstance(value, AbstractContextManager):
        with value:
            return value
    if (
        inspect.isawaitable(value)
        or inspect.isasyncgen(value)
        or isinstance(value, AbstractAsyncContextManager)
    ):
        import asyncio

        return asyncio.run(_await_all(value))
    return value


async def _await_all(value: Any) -> Any:
    if isinstance(value, AbstractAsyncContextManager):
        async with value:
            return value
    if not inspect.isasyncgen(value):
        return await value
    async for _ in value:
        pass
    return None


class CallRecording:
    """The recording of one call that goes on in steps; each `with` block is a step.

    Args:
        code: of the callee: its call begins the recording, its return ends it.
        options: how to record.
        running: of this thread: its attribute `now` is true during a step.
        keep: takes the sink once the call has ended.
    """

    def __init__(
        self, code: CodeType, options: Options, running: threading.local, keep: Callable[[Memory], object]
    ) -> None:
        self._sink = Memory()
        self._running = running
        self._keep = keep
        self._block = Block(self._sink, options, code.co_filename, entry=code)

    def __enter__(self) -> None:
        self._running.now = True
        self._block.start()

    def __exit__(self, *_: object) -> None:
        self._block.pause()
        self._running.now = False

    def finish(self, raised: type[BaseException] | None) -> None:
        """The call has ended; `raised` is what left it."""
        self._block.stop(raised)
        self._keep(self._sink)


class PartOfAnother:
    """Stands for the recording of a call that another recorded one makes: its frames are in that one's."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def finish(self, raised: type[BaseException] | None) -> None:
        """Nothing is to be kept."""


Steps = CallRecording | PartOfAnother


def start(recording: Steps, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Take the first step: the call itself, which of a coroutine or generator runs nothing yet."""
    try:
        with recording:
            return function(*args, **kwargs)
    except BaseException as error:
        recording.finish(type(error))
        raise


def follow(value: Any, recording: Steps) -> Any:
    """What a call has returned, as its caller gets it: what runs later is recorded when it runs."""
    if inspect.iscoroutine(value):
        return follow_coroutine(value, recording)
    if inspect.isasyncgen(value):
        return async_generator_function(lambda: (value, recording))()
    if inspect.isgenerator(value):
        return follow_generator(value, recording)
    if isinstance(value, AbstractContextManager | AbstractAsyncContextManager) and hasattr(value, "gen"):
        value.gen = follow(value.gen, recording)  # of `contextlib.contextmanager`, which steps through it
        return value
    recording.finish(None)
    return value


def follow_generator(inner: Any, recording: Steps) -> Generator[Any, Any, Any]:
    """A generator that behaves as `inner` does."""
    try:
        value = yield from _steps(inner, recording)
    except GeneratorExit:
        recording.finish(None)
        raise
    except BaseException as error:
        recording.finish(type(error))
        raise
    recording.finish(None)
    return value


async def follow_coroutine(inner: Any, recording: Steps) -> Any:
    """A coroutine that behaves as `inner` does, which may be anything that can be awaited."""
    try:
        value = await _Steps(inner, recording)
    except BaseException as error:
        recording.finish(type(error))
        raise
    recording.finish(None)
    return value


def async_generator_function(
    begin: Callable[..., tuple[Any, Steps]],
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An asynchronous generator function whose generators behave as those that `begin` gives."""

    async def recorded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner, recording = begin(*args, **kwargs)
        resume, argument = inner.asend, None
        while True:
            try:
                item = await _Steps(resume(argument), recording)
            except StopAsyncIteration:
                recording.finish(None)
                return
            except BaseException as error:
                recording.finish(type(error))
                raise
            try:
                argument = yield item
                resume = inner.asend
            except GeneratorExit:
                try:
                    await _Steps(inner.aclose(), recording)
                finally:
                    recording.finish(None)
                raise
            except BaseException as error:
                resume, argument = inner.athrow, error

    return recorded


class _Steps:
    """An awaitable that takes another one's steps."""

    def __init__(self, inner: Any, recording: Steps) -> None:
        self._inner = inner
        self._recording = recording

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._inner
        is_iterator = inspect.iscoroutine(inner) or inspect.isgenerator(inner)
        return _steps(inner if is_iterator else inner.__await__(), self._recording)


def _steps(inner: Any, recording: Steps) -> Generator[Any, Any, Any]:
    """Delegate to `inner` as `yield from` does (PEP 380), each step in the recording."""
    resume, argument = inner.send, None
    while True:
        try:
            with recording:
                item = resume(argument)
        except StopIteration as end:
            return end.value
        try:
            argument = yield item
            resume = inner.send
        except GeneratorExit:
            with recording:
                inner.close()
            raise
        except BaseException as error:
            resume, argument = inner.throw, error

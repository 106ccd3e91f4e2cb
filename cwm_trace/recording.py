"""`record`: a decorator and a context manager around what a program calls."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits, Trace
from cwm_trace.wire.context import function_name
from cwm_trace.wire.profile import CWM, FormatProfile

if TYPE_CHECKING:
    from cwm_trace.tracer.session import Memory, Options

_F = TypeVar("_F")


@overload
def record(function: _F, /) -> _F: ...
@overload
def record(
    *,
    limits: Limits = ...,
    profile: FormatProfile = ...,
    include: Sequence[str] = ...,
    exclude: Sequence[str] = ...,
    expand_objects: int = ...,
    redact: Sequence[str] = ...,
) -> Recording: ...
def record(
    function: Any = None,
    /,
    *,
    limits: Limits = Limits(),
    profile: FormatProfile = CWM,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    expand_objects: int = 0,
    redact: Sequence[str] = (),
) -> Any:
    """Record a function whenever it is called, or everything that a block of code calls.

    >>> @record
    ... def double(x):
    ...     return 2 * x
    >>> double(4)
    8
    >>> double.traces[0].value.text
    '8'

    As a decorator, `@record` or `@record(limits=…)`, the function behaves as before, exceptions included, and
    each call appends its trace to `double.traces` once it has ended; calls that it makes of itself are part
    of that trace. A coroutine or a generator function stays one; it is recorded whenever it runs, up to its
    end, without what other tasks do meanwhile. A class stays the class it is, and each call of one of its
    methods from outside appends to `traces` of the class.

    As a context manager, `with record() as recording:`, the trace is `recording.trace` once the block has
    ended; the lines of the block itself are not in it.

    Args:
        function: what to decorate, where the decorator has no arguments.
        limits: bounds of the recording.
        profile: its `addresses` decides whether values keep heap addresses.
        include: globs of files to record besides the user's own.
        exclude: globs of files not to record.
        expand_objects: how many objects deep state is shown, as `Cart(total=3)`, instead of `repr`.
        redact: names and regular expressions of what no value may show, or `default` for the usual ones.

    Raises:
        CwmTraceError: this cannot be recorded.
    """
    recording = Recording(
        recording_options(limits, profile, include, exclude, expand_objects=expand_objects, redact=redact)
    )
    return recording if function is None else recording(function)


def recording_options(
    limits: Limits,
    profile: FormatProfile,
    include: Sequence[str],
    exclude: Sequence[str],
    *,
    expand_objects: int = 0,
    redact: Sequence[str] = (),
    capture_output: bool = False,
) -> Options:
    """How to record, as the functions of the API take it."""
    from cwm_trace.tracer.redaction import Rules
    from cwm_trace.tracer.session import Options

    if isinstance(redact, str):
        redact = [redact]
    Rules(redact)  # a rule that cannot be read is said before anything runs
    if expand_objects < 0:
        raise CwmTraceError(f"expand_objects is {expand_objects}: it starts at 0")
    return Options(
        limits=limits,
        include=include,
        exclude=exclude,
        keep_addresses=profile.addresses == "kept",
        profile=profile.name,
        expand_objects=expand_objects,
        redact=redact,
        capture_output=capture_output,
    )


class Recording:
    """What `record()` gives: decorates, or records the block of a `with` statement.

    Attributes:
        trace: of the last block.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.trace: Trace | None = None

    def __call__(self, function: _F) -> _F:
        """Decorate a function, a method or a class."""
        decorated: _F = _Decorator(self._options).decorate(function)
        return decorated

    def __enter__(self) -> Recording:
        """Start recording."""
        from cwm_trace.tracer.session import Block, Memory

        _refuse_timeout(self._options, "a block")
        self._sink = Memory()
        self._block = Block(self._sink, self._options, sys._getframe(1).f_code.co_filename)
        self._block.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Stop recording."""
        self._block.stop(kind)
        trace = self._sink.trace
        if trace.frames:
            first = trace.frames[0]
            program = replace(trace.program, entry=function_name(first.source), entry_line=first.line)
            trace = replace(trace, program=program)
        self.trace = trace


class _Traces(list[Trace]):
    """Of a decorated class, which tells them from an attribute of the program's own."""


class _Decorator:
    """One decoration: whose calls are recorded, and where their traces go."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._running = threading.local()
        self._traces_of_class: list[Trace] | None = None

    def decorate(self, target: Any) -> Any:
        match target:
            case type():
                return self._decorate_class(target)
            case staticmethod() | classmethod():
                return type(target)(self.decorate(target.__func__))
            case property():
                get, set_, delete = (
                    None if function is None else self.decorate(function)
                    for function in (target.fget, target.fset, target.fdel)
                )
                return property(get, set_, delete, target.__doc__)
            case functools.cached_property():
                return functools.cached_property(self.decorate(target.func))
            case _ if callable(target):
                return self._decorate_function(target)
        raise CwmTraceError(f"record cannot decorate {target!r}: give a function, a method or a class")

    def _decorate_class(self, kind: type) -> type:
        if not isinstance(getattr(kind, "traces", _Traces()), _Traces):
            raise CwmTraceError(
                f"class {kind.__name__} has an attribute 'traces' of its own: decorate its methods instead"
            )
        self._traces_of_class = traces = _Traces()
        methods = {name: member for name, member in vars(kind).items() if _is_users(name, member)}
        try:
            for name, method in methods.items():
                setattr(kind, name, self.decorate(method))
            kind.traces = traces  # type: ignore[attr-defined]
        except (AttributeError, TypeError) as error:
            raise CwmTraceError(
                f"the methods of class {kind.__name__} cannot be replaced: {error}: decorate one by one"
            ) from error
        return kind

    def _decorate_function(self, function: Any) -> Any:
        from cwm_trace.tracer import calls

        code = calls.entry_code(function)
        is_function = inspect.isroutine(function) or isinstance(function, functools.partial)
        called = function if is_function else type(function).__call__
        traces: list[Trace] = []
        running, shared, options = self._running, self._traces_of_class, self._options
        if calls.is_lazy(code):
            _refuse_timeout(options, f"{code.co_name}, which runs when it is awaited or iterated")

        def keep(sink: Memory) -> None:
            traces.append(sink.trace)
            if shared is not None:
                shared.append(sink.trace)

        def begin(args: Any, kwargs: Any) -> tuple[Any, calls.Steps]:
            is_inside = getattr(running, "now", False)
            steps = calls.PartOfAnother() if is_inside else calls.CallRecording(code, options, running, keep)
            return calls.start(steps, function, args, kwargs), steps

        recorded: Any
        if inspect.iscoroutinefunction(called):

            async def recorded(*args: Any, **kwargs: Any) -> Any:
                return await calls.follow_coroutine(*begin(args, kwargs))

        elif inspect.isasyncgenfunction(called):
            recorded = calls.async_generator_function(lambda *args, **kwargs: begin(args, kwargs))

        elif inspect.isgeneratorfunction(called):

            def recorded(*args: Any, **kwargs: Any) -> Any:
                return (yield from calls.follow_generator(*begin(args, kwargs)))

            if code.co_flags & inspect.CO_ITERABLE_COROUTINE:
                recorded = types.coroutine(recorded)

        elif calls.is_lazy(code):  # below a decorator that is a plain function

            def recorded(*args: Any, **kwargs: Any) -> Any:
                return calls.follow(*begin(args, kwargs))

        else:

            def recorded(*args: Any, **kwargs: Any) -> Any:
                if getattr(running, "now", False):
                    return function(*args, **kwargs)
                return _record_plainly(function, args, kwargs, options, running, keep)

        functools.update_wrapper(
            recorded, function, updated=("__dict__",) if inspect.isfunction(function) else ()
        )
        recorded.traces = traces
        return recorded


def _record_plainly(
    function: Any,
    args: Any,
    kwargs: Any,
    options: Options,
    running: threading.local,
    keep: Callable[[Memory], object],
) -> Any:
    from cwm_trace.tracer.calls import record_call
    from cwm_trace.tracer.session import Memory

    sink = Memory()
    running.now = True
    try:
        ending = record_call(function, args, kwargs, sink, options)
    finally:
        running.now = False
    keep(sink)
    if ending.error is not None:
        raise ending.error
    return ending.value


def _is_users(name: str, member: Any) -> bool:
    """Whether a member of a class is a method that somebody wrote, and that is called on purpose."""
    function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return (
        isinstance(member, types.FunctionType | staticmethod | classmethod | property)
        and isinstance(code, types.CodeType)
        and not code.co_filename.startswith("<string>")
        and name not in _CALLED_IMPLICITLY
    )


_CALLED_IMPLICITLY = frozenset(
    f"__{name}__"
    for name in """class_getitem del delattr dir format getattr getattribute getstate hash init_subclass
    instancecheck reduce reduce_ex repr set_name setattr setstate sizeof str subclasscheck
    subclasshook""".split()  # noqa: SIM905 (a column of thirty strings)
)


def _refuse_timeout(options: Options, what: str) -> None:
    if options.limits.timeout is not None:
        raise CwmTraceError(f"a time limit bounds plain calls and programs, not {what}")

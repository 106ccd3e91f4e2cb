"""A run of a program, or of one function, with a recorder around it and a sink behind it."""

from __future__ import annotations

import _thread
import atexit
import inspect
import linecache
import os
import platform
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from types import CodeType, FrameType, FunctionType
from typing import Any, NoReturn, Protocol

from cwm_trace.errors import CwmTraceError
from cwm_trace.plain import SourceLines, frames_from_fields
from cwm_trace.records import FrameFields, Limits, Outcome, SourceFile, Trace
from cwm_trace.tracer.program import MODULE, Program, find_function, surroundings
from cwm_trace.tracer.recorder import Recorder, outcome_of
from cwm_trace.tracer.scope import Scope
from cwm_trace.tracer.values import TimeLimitReached, describer

_NO_KEYWORDS: Mapping[str, Any] = {}


class Sink(Protocol):
    """Where a recording goes, line by line."""

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""

    def frame(self, fields: FrameFields) -> None:
        """The next frame."""

    def footer(self, trace: Trace) -> None:
        """What is known after the last frame."""

    def flush(self) -> None:
        """The process ends without another word."""

    def abandon(self) -> None:
        """This is a forked child: whatever is still written goes nowhere."""


class Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self._files: list[SourceFile] = []
        self._fields: list[FrameFields] = []
        self.trace = Trace(files=(), entry="")
        self.frame = self._fields.append

    def header(self, trace: Trace) -> None:
        """Keep the files; the footer has everything else again."""
        self._files += trace.files

    def file(self, file: SourceFile) -> None:
        """Keep a file."""
        self._files.append(file)

    def footer(self, trace: Trace) -> None:
        """Make the trace."""
        sources = SourceLines(self._files)
        frames = frames_from_fields(self._fields, sources)
        self.trace = replace(trace, files=tuple(self._files), frames=frames)

    def flush(self) -> None:
        """Memory ends with the process."""

    def abandon(self) -> None:
        """A child's memory is its own."""


@dataclass(frozen=True)
class Options:
    """How to record.

    Args:
        limits: bounds of the recording.
        include: globs of files to record besides the user's own.
        exclude: globs of files not to record.
        keep_addresses: leave ` at 0x…` in values.
        profile: name of the format profile, for the header.
        capture_output: keep what is written to `sys.stdout` instead of letting it through.
        whole_process: the program is all that this process is for: threads are waited for and exit handlers
            run while it is still recorded, an uncaught exception is printed, nothing is put back.
    """

    limits: Limits = Limits()
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    keep_addresses: bool = False
    profile: str = "cwm"
    capture_output: bool = False
    whole_process: bool = False


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Args:
        trace: the footer's fields; it has no frames.
        frames: number of frames recorded.
        exit_code: what Python would give its parent.
        error: the exception that ended the program, if one did.
        failure: the error that ended the recording early, if one did.
        value: what the function returned.
        forked: this is a forked child of the process that records.
    """

    trace: Trace
    frames: int
    exit_code: int
    error: BaseException | None = None
    failure: OSError | None = None
    value: Any = None
    forked: bool = False


def record_program(
    program: Program, sink: Sink, options: Options = Options(), *, entry: str | None = None
) -> Ending:
    """Run a program and record it.

    Args:
        program: from one of the loaders of `cwm_trace.tracer.program`.
        sink: takes the recording.
        options: how to record.
        entry: record only from the first call of this function (`name` or `Class.method`) to its return.

    Raises:
        CwmTraceError: the program has no such function.
    """
    line = (
        find_function(program.source.text, entry, program.source.name).line if entry else program.entry_line
    )
    name = entry or program.entry
    is_entry = _starts_at(program.code.co_filename, line, name) if name != MODULE else None
    scope = Scope(program.code.co_filename, program.root, include=options.include, exclude=options.exclude)
    header = _header(options, (program.source,), name, line, program.argv[1:])

    def run(recorder: Recorder) -> None:
        recorder.know_file(program.code.co_filename)
        with surroundings(program, restore=not options.whole_process) as module:
            if program.entry_code is not None:
                exec(program.code, module.__dict__)
                entry_function = FunctionType(program.entry_code, module.__dict__)
                recorder.start()
                entry_function()
            else:
                recorder.start()
                exec(program.code, module.__dict__)

    return _record(run, header, sink, options, scope, is_entry)


def record_call(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    sink: Sink,
    options: Options = Options(),
) -> Ending:
    """Call a Python function and record from its first frame to its return.

    Raises:
        CwmTraceError: it has no Python code.
    """
    code = _code_of(function)
    source = _source_file(code.co_filename)
    scope = Scope(
        code.co_filename, _folder(code.co_filename), include=options.include, exclude=options.exclude
    )
    header = _header(options, (source,), code.co_name, code.co_firstlineno)
    result: list[Any] = [None]

    def run(recorder: Recorder) -> None:
        recorder.know_file(code.co_filename)
        recorder.start()
        result[0] = function(*args, **kwargs)

    ending = _record(run, header, sink, options, scope, lambda candidate: candidate is code)
    return replace(ending, value=result[0])


class Block:
    """Records what is called between `start` and `stop`.

    Args:
        sink: takes the recording.
        options: how to record.
        filename: a file of the user's, in whose folder the code is that is recorded.
        root: that folder, if it is another one.
        entry: record only from the first call of this code to its return; None: every user function.
    """

    def __init__(
        self,
        sink: Sink,
        options: Options,
        filename: str,
        *,
        root: str | None = None,
        entry: CodeType | None = None,
    ) -> None:
        self._sink = sink
        scope = Scope(filename, root or _folder(filename), include=options.include, exclude=options.exclude)
        is_entry = None if entry is None else lambda code: code is entry
        self._recorder = _recorder(sink, options, scope, is_entry)
        if entry is None:
            self._header = _header(options, (), "", 0)
        else:
            source = _source_file(entry.co_filename)
            self._header = _header(options, (source,), entry.co_name, entry.co_firstlineno)
            self._recorder.know_file(entry.co_filename)
        self._sink.header(self._header)

    def start(self) -> None:
        """Begin."""
        self._recorder.start()

    def stop(self, raised: type[BaseException] | None) -> Trace:
        """End; `raised` is what left the block. Gives the footer's fields."""
        self._recorder.stop()
        footer = _footer(self._header, self._recorder, outcome_of(raised))
        self._sink.footer(footer)
        return footer


def report_error(error: BaseException) -> None:
    """Say what Python would of an uncaught exception, without this package's own frames."""
    if isinstance(error, TimeLimitReached):
        return
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == _record.__code__.co_filename:
        trace = trace.tb_next
    error.__traceback__ = trace  # the hook looks there, not at its argument
    sys.excepthook(type(error), error, trace)


def _record(
    run: Callable[[Recorder], None],
    header: Trace,
    sink: Sink,
    options: Options,
    scope: Scope,
    is_entry: Callable[[CodeType], bool] | None,
) -> Ending:
    recorder = _recorder(sink, options, scope, is_entry)
    try:
        sink.header(header)
    except OSError as refused:  # nothing will be recorded, but the program runs as ever
        recorder.fail(refused)
    output = StringIO() if options.capture_output else None
    error: BaseException | None = None
    with _process_wide(recorder, sink):
        try:
            with _deadline(options.limits.timeout), redirect_stdout(output or sys.stdout):
                error = _run(run, recorder, options)
        except BaseException as late:  # an interrupt between the program's end and here
            error = late
    trace = _footer(header, recorder, outcome_of(None if error is None else type(error)))
    if is_entry is None:
        trace = replace(trace, exit_code=_exit_code(error))
    trace = replace(trace, output=None if output is None else output.getvalue())
    failure = recorder.failure
    if failure is None and not recorder.forked:
        try:
            sink.footer(trace)
        except OSError as refused:
            failure = refused
    return Ending(trace, recorder.frames, _exit_code(error), error, failure, forked=recorder.forked)


def _run(run: Callable[[Recorder], None], recorder: Recorder, options: Options) -> BaseException | None:
    """Run to the end that Python would run to, and return the exception that ended it."""
    error = None
    try:
        try:
            run(recorder)
        except BaseException as raised:
            if not options.whole_process:
                raise
            error = raised
            report_error(raised)
        if options.whole_process:
            _finish()
    except BaseException as raised:
        error = error or raised
    finally:
        recorder.stop()
    return error


def _finish() -> None:
    """What the interpreter does after the main module: wait for threads, then run exit handlers."""
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()


@contextmanager
def _process_wide(recorder: Recorder, sink: Sink) -> Iterator[None]:
    """What a program may do to its process that would lose frames or damage the file.

    A forked child inherits the recording and must not go on with it; `os._exit` runs no handlers, so that
    buffers are emptied before it; threads that `_thread` starts do not know `threading.settrace`.
    """
    recorders = weakref.WeakSet([recorder])

    def in_child() -> None:
        for inherited in recorders:
            inherited.leave_to_parent()
            sink.abandon()

    leave, start_thread = os._exit, _thread.start_new_thread

    def flush_and_leave(status: int) -> NoReturn:
        sink.flush()
        leave(status)

    def start_recorded(
        function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NO_KEYWORDS
    ) -> int:
        def run() -> None:
            sys.settrace(recorder.on_call)
            function(*args, **kwargs)

        return start_thread(run, ())

    os.register_at_fork(after_in_child=in_child)
    os._exit, _thread.start_new_thread = flush_and_leave, start_recorded
    try:
        yield
    finally:
        os._exit, _thread.start_new_thread = leave, start_thread
        recorders.clear()


def _recorder(
    sink: Sink, options: Options, scope: Scope, is_entry: Callable[[CodeType], bool] | None
) -> Recorder:
    return Recorder(
        resolve=lambda filename: _source_file(filename) if scope.covers(filename) else None,
        describe=describer(max_chars=options.limits.max_value_chars, keep_addresses=options.keep_addresses),
        emit=sink.frame,
        add_file=sink.file,
        limits=options.limits,
        is_entry=is_entry,
    )


def _header(
    options: Options, files: tuple[SourceFile, ...], entry: str, line: int, arguments: Sequence[str] = ()
) -> Trace:
    return Trace(
        files=files,
        entry=entry,
        entry_line=line,
        arguments=tuple(arguments),
        python=platform.python_version(),
        profile=options.profile,
        limits=options.limits,
    )


def _footer(header: Trace, recorder: Recorder, outcome: Outcome) -> Trace:
    warnings = []
    if recorder.replaced:
        warnings.append(
            "the trace function was replaced while the program ran (by the program, a debugger, a coverage"
            " tool, or a RecursionError): recording ended there"
        )
    if recorder.displaced:
        warnings.append(
            f"{recorder.displaced} was set aside while this was recorded, and put back afterwards"
        )
    if recorder.missed:
        warnings.append(
            f"{recorder.missed} events could not be recorded (most often near the recursion limit)"
        )
    if not recorder.entered:
        warnings.append(f"{header.entry} was never called: nothing was recorded")
    return replace(
        header,
        outcome=recorder.outcome or outcome,
        skipped=recorder.skipped,
        warnings=tuple(warnings),
    )


def _starts_at(filename: str, line: int, name: str) -> Callable[[CodeType], bool]:
    last = name.rpartition(".")[2]

    def is_entry(code: CodeType) -> bool:
        return code.co_firstlineno == line and code.co_name == last and code.co_filename == filename

    return is_entry


def _exit_code(error: BaseException | None) -> int:
    """What Python would give its parent."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 124 if isinstance(error, TimeLimitReached) else 1


@contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    """Interrupt the program after `seconds`, and again every second in case it catches that."""
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise CwmTraceError("a timeout needs the main thread, whose signals it uses")

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise TimeLimitReached(f"the program ran longer than {seconds:g} seconds")

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _code_of(function: Callable[..., Any]) -> CodeType:
    unwrapped = inspect.unwrap(function)
    unwrapped = getattr(unwrapped, "__func__", unwrapped)
    code = getattr(unwrapped, "__code__", None)
    if not isinstance(code, CodeType):
        code = getattr(type(unwrapped).__call__, "__code__", None)
    if not isinstance(code, CodeType):
        raise CwmTraceError(f"{function!r} has no Python code to trace: give a function written in Python")
    return code


def _source_file(filename: str) -> SourceFile:
    return SourceFile(filename, "".join(linecache.getlines(filename)))


def _folder(filename: str) -> str:
    return os.path.dirname(os.path.realpath(filename)) if os.path.isfile(filename) else os.getcwd()

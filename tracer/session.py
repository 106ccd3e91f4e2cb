"""A run of a program, or of one function, with a recorder around it and a sink behind it."""

from __future__ import annotations

import os
import platform
import runpy
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from cwm_trace.plain import SourceLines, fields_of_lines, frames_from_fields, lines_of_fields
from cwm_trace.records import Capture, FrameFields, Limits, Outcome, Program, Run, SourceFile, Trace
from cwm_trace.tracer.extension import records_of_lines
from cwm_trace.tracer.modules import own_modules
from cwm_trace.tracer.process import Buffer, exit_code, finish, guard_process, report_error
from cwm_trace.tracer.program import MODULE, Runnable, surroundings
from cwm_trace.tracer.recorder import Recorder, outcome_of
from cwm_trace.tracer.recorders import Kind, make_recorder
from cwm_trace.tracer.rootless import call_first, frames_below
from cwm_trace.tracer.scope import Scope
from cwm_trace.tracer.shortfalls import note_unfinished, shortfalls
from cwm_trace.tracer.signals import check_deadline_possible, deadline, end_handlers
from cwm_trace.tracer.sources import Sources, source_of
from cwm_trace.tracer.values import Describer

if TYPE_CHECKING:
    from cwm_trace.tracer._recorder import Log

NOT_RECORDED = ("other processes, forked ones included", "threads that C code starts", "C functions")


class Sink(Buffer, Protocol):
    """Where a recording goes, line by line."""

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""

    def frame(self, fields: FrameFields) -> None:
        """The next frame."""

    def footer(self, trace: Trace) -> None:
        """What is known after the last frame."""


class Fields:
    """A sink that keeps frames as plain data, for those who turn them into something else at once."""

    def __init__(self) -> None:
        self.files: list[SourceFile] = []
        self.frames: list[FrameFields] = []
        self.trace = Trace(Program())
        self.file = self.files.append
        self.frame = self.frames.append
        self._log: Log | None = None

    def open_log(self, make: type[Log]) -> Log | None:
        """Where the compiled recorder writes; its lines are frames once the recording has ended.

        None where somebody else takes the frames one by one.
        """
        if getattr(self.frame, "__self__", None) is not self.frames:
            return None
        self._log = make()
        return self._log

    def rewrite_line(self, line: bytes) -> bytes:
        """Memory may hold lone surrogates."""
        return line

    def header(self, trace: Trace) -> None:
        """Keep the files; the footer has everything else again."""
        self.files += trace.files

    def footer(self, trace: Trace) -> None:
        """Keep what is known at the end; the frames stay apart."""
        files = tuple(self.files)
        self.trace = (
            trace if files == trace.files else replace(trace, program=replace(trace.program, files=files))
        )
        if self._log is not None:
            self.frames += fields_of_lines(self._lines(self._log))

    def _lines(self, log: Log) -> bytes:
        log.end()
        return log.take()

    def flush(self) -> None:
        """Memory ends with the process."""

    def abandon(self) -> None:
        """A child's memory is its own."""


class Memory(Fields):
    """A sink that makes a whole trace."""

    def footer(self, trace: Trace) -> None:
        """Make the trace."""
        log, self._log = self._log, None
        super().footer(trace)
        files = self.trace.files
        if log is None:
            make = partial(frames_from_fields, self.frames.copy(), SourceLines(files))
        else:
            make = partial(records_of_lines, self._lines(log), files)
        self.frames.clear()
        self.trace = self.trace.with_frames_later(make)


class Lines(Fields):
    """A sink that keeps frames as a trace file has them, each a line of JSON, for those who write them on.

    `lines` are UTF-8, each with its ending; lone surrogates are written as if they were characters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines = b""

    def footer(self, trace: Trace) -> None:
        """Keep what is known at the end; the lines stay apart."""
        log, self._log = self._log, None
        super().footer(trace)
        self.lines = lines_of_fields(self.frames) if log is None else self._lines(log)


@dataclass(frozen=True)
class Options:
    """How to record.

    Args:
        limits: bounds of the recording.
        include: globs of files to record besides the user's own.
        exclude: globs of files not to record.
        keep_addresses: leave ` at 0x…` in values.
        profile: name of the format profile, for the header.
        expand_objects: how many objects deep state is shown instead of `repr`; see `expansion`.
        redact: what no value may show; see `redacting`.
        capture_output: keep what is written to `sys.stdout` instead of letting it through.
        recorder: which recorder; see `recorders`.
        whole_process: the program is all that this process is for: threads are waited for and exit handlers
            run while it is still recorded, an uncaught exception is printed, nothing is put back.
    """

    limits: Limits = Limits()
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    keep_addresses: bool = False
    profile: str = "cwm"
    expand_objects: int = 0
    redact: Sequence[str] = ()
    capture_output: bool = False
    recorder: Kind = "auto"
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
    program: Runnable, sink: Sink, options: Options = Options(), *, entry: str | None = None
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
    entered = program.enter(entry) if entry else program.program
    is_entry = _starts_at(program.code.co_filename, entered) if entered.entry != MODULE else None
    scope = Scope(program.code.co_filename, program.root, include=options.include, exclude=options.exclude)
    header = make_header(options, entered)

    notes: list[str] = []

    def run(recorder: Recorder) -> None:
        recorder.sources.know(program.code, program.source)
        with surroundings(program, restore=not options.whole_process) as module:
            if program.entry_code is not None:
                recorder.sources.know(program.entry_code, program.source)
                exec(program.code, module.__dict__)
                entry_function = FunctionType(program.entry_code, module.__dict__)
                note_unfinished(_run_first(recorder, entry_function), notes)
            elif program.module is not None:
                recorder.keep_preamble_apart(program.code.co_filename)
                runner: Any = vars(runpy)["_run_module_as_main"]
                _run_first(recorder, runner, program.module, program.module != "__main__")
            else:
                _run_first(recorder, exec, program.code, module.__dict__)

    with own_modules(program.path):
        return record_run(run, header, sink, options, scope, is_entry, notes)


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
        self._sink = sink = redacting(sink, options)
        self._guard = ExitStack()
        scope = Scope(filename, root or folder_of(filename), include=options.include, exclude=options.exclude)
        is_entry = None if entry is None else lambda code: code is entry
        self._recorder = _recorder(sink, options, scope, is_entry)
        if entry is None:
            self._header = make_header(options, Program())
        else:
            source = source_of(entry, {})
            self._header = make_header(options, Program((source,), entry.co_name, entry.co_firstlineno))
            self._recorder.sources.know(entry, source)
        self._header = replace(self._header, run=replace(self._header.run, recorder=self._recorder.kind))
        self._sink.header(self._header)

    def start(self) -> None:
        """Begin, or go on after a pause."""
        if self._recorder.outcome is None:  # else a limit or the entry's return has ended the recording
            self._guard.enter_context(guard_process(self._recorder, self._sink))
            self._recorder.start()

    def pause(self) -> None:
        """Record nothing until the next `start`."""
        self._recorder.stop()
        self._guard.close()

    def stop(self, raised: type[BaseException] | None) -> Trace:
        """End; `raised` is what left the block. Gives the footer's fields.

        Raises:
            OSError: the sink could not take all of the recording.
        """
        self.pause()
        footer = _footer(self._header, self._recorder, outcome_of(raised))
        if self._recorder.failure is not None:
            raise self._recorder.failure
        if not self._recorder.forked:
            self._sink.footer(footer)
        return footer


def record_run(
    run: Callable[[Recorder], None],
    header: Trace,
    sink: Sink,
    options: Options,
    scope: Scope,
    is_entry: Callable[[CodeType], bool] | None,
    notes: Sequence[str] = (),
) -> Ending:
    """Run something and record it.

    Args:
        run: starts the recorder, and runs.
        header: what is known before.
        sink: takes the recording.
        options: how to record.
        scope: whose code is recorded.
        is_entry: as for `Recorder`.
        notes: warnings that `run` leaves for whoever reads the trace.
    """
    if options.limits.timeout is not None:
        check_deadline_possible()
    sink = redacting(sink, options)
    recorder = _recorder(sink, options, scope, is_entry)
    header = replace(header, run=replace(header.run, recorder=recorder.kind))
    try:
        sink.header(header)
    except OSError as refused:  # nothing will be recorded, but the program runs as ever
        recorder.fail(refused)
    output = StringIO() if options.capture_output else None
    error: BaseException | None = None
    with guard_process(recorder, sink):
        try:
            with deadline(options.limits.timeout), redirect_stdout(output) if output else nullcontext():
                error = _run(run, recorder, options)
        except BaseException as late:  # an interrupt between the program's end and here
            error = late
    trace = _footer(header, recorder, outcome_of(None if error is None else type(error)), notes)
    if header.entry == MODULE or output is not None:
        code = exit_code(error) if header.entry == MODULE else None
        written = None if output is None else output.getvalue()
        trace = replace(trace, run=replace(trace.run, exit_code=code, output=written))
    failure = recorder.failure
    if failure is None and not recorder.forked:
        try:
            sink.footer(trace)
            trace = getattr(sink, "written", trace)  # without its secrets
        except OSError as refused:
            failure = refused
    return Ending(trace, recorder.frames, exit_code(error), error, failure, forked=recorder.forked)


def _run(run: Callable[[Recorder], None], recorder: Recorder, options: Options) -> BaseException | None:
    """Run to the end that Python would run to, and return the exception that ended it."""
    error: BaseException | None = None
    try:
        try:
            run(recorder)
        except BaseException as raised:
            if not options.whole_process:
                raise
            error = raised
        if error is not None:  # not where it was caught: a hook finds no exception that is being handled
            error = report_error(error, os.path.dirname(_run.__code__.co_filename))
        if options.whole_process:
            finish()
    except BaseException as raised:
        error = error or raised
    finally:
        has_ended = not options.whole_process
        while not has_ended:
            try:
                end_handlers()
                has_ended = True
            except BaseException:  # noqa: PERF203 (a handler that was called meanwhile; `suppress` is a call)
                pass
        recorder.stop()
    return error


def _run_first(recorder: Recorder, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function and record it, with no frame of ours above its own."""
    if not recorder.prepare():
        return function(*args)

    def when_first_returns(mend: Callable[[], object]) -> None:
        recorder.when_entry_returns = mend

    with recorder.recursion_levels(frames_below() + 1):
        return call_first(
            function,
            *args,
            trace=recorder.on_call,
            when_first_returns=when_first_returns,
            watch_return=None if recorder.calls_local_functions else recorder.watch_return,
        )


def _recorder(
    sink: Sink, options: Options, scope: Scope, is_entry: Callable[[CodeType], bool] | None
) -> Recorder:
    sources = Sources(scope, sink.file)
    if options.whole_process:
        sources.listen()
    return make_recorder(
        options.recorder,
        sink,
        sources=sources,
        describer=Describer(
            max_chars=None if options.redact else options.limits.max_value_chars,
            keep_addresses=options.keep_addresses,
            expand_objects=options.expand_objects,
        ),
        limits=options.limits,
        is_entry=is_entry,
    )


def make_header(options: Options, program: Program) -> Trace:
    """What is known before the first frame."""
    return Trace(
        program,
        profile=options.profile,
        capture=Capture(options.expand_objects),
        run=Run(platform.python_version(), options.limits, not_recorded=NOT_RECORDED),
    )


def _footer(header: Trace, recorder: Recorder, outcome: Outcome, notes: Sequence[str] = ()) -> Trace:
    return replace(
        header,
        outcome=recorder.outcome or outcome,
        warnings=(*shortfalls(recorder, header.entry), *notes),
        run=replace(header.run, skipped=recorder.skipped) if recorder.skipped else header.run,
    )


def redacting(sink: Sink, options: Options) -> Sink:
    """The sink, behind one that lets no secret through if that is asked for."""
    if not options.redact:
        return sink
    from cwm_trace.tracer.redacting import RedactingSink

    return RedactingSink(sink, options.redact, options.limits.max_value_chars)


def _starts_at(filename: str, program: Program) -> Callable[[CodeType], bool]:
    line, last = program.entry_line, program.entry.rpartition(".")[2]

    def is_entry(code: CodeType) -> bool:
        return code.co_firstlineno == line and code.co_name == last and code.co_filename == filename

    return is_entry


def folder_of(filename: str) -> str:
    """The folder of a file; of code without one, the working folder."""
    return os.path.dirname(os.path.realpath(filename)) if os.path.isfile(filename) else os.getcwd()

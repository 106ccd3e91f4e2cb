"""`cwm-trace run`: record a program."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
from click.globals import pop_context, push_context

from cwm_trace.predict.registry import DEFAULT

if TYPE_CHECKING:
    from cwm_trace.storage import TraceWriter
    from cwm_trace.tracer.program import Runnable
    from cwm_trace.tracer.session import Ending


_MISPLACED = "cwm_trace.misplaced"
_MANY = 10_000  # frames, after which it is worth a note that the slower recorder recorded them
_LARGE = 10_000_000  # bytes of a trace file, after which its size is worth a note


class ProgramCommand(click.Command):
    """Leaves everything after the program to the program, as `python` does after `-m` and `-c`.

    Where an argument behind the program is spelt like an option of ours, it is noted for `warn_of_options`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `--` behind the value of `-m` or `-c`."""
        takes_value = {
            name
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        index, program, own = 0, "", []
        while index < len(args):
            argument = args[index]
            if argument == "--":
                break
            if not argument.startswith("-") or argument == "-":
                program, own = argument, args[index + 1 :]
                break
            option, value = _last_option(argument, takes_value)
            following = index + (1 if value else 2)
            if option in ("-m", "-c") and following <= len(args):
                program = (value or args[index + 1]) if option == "-m" else "the code after -c"
                own = args[following:]
                args = [*args[:following], "--", *own]
                break
            index = following if option in takes_value else index + 1
        ctx.meta[_MISPLACED] = program, self._ours(own)
        return super().parse_args(ctx, args)

    def _ours(self, arguments: Sequence[str]) -> list[str]:
        """Those of a program's own arguments, up to `--`, that are spelt like options of this command."""
        until = arguments.index("--") if "--" in arguments else len(arguments)
        names = {name for option in self.params for name in (*option.opts, *option.secondary_opts)}
        found = (argument.partition("=")[0] for argument in arguments[:until])
        return list(dict.fromkeys(name for name in found if name.startswith("-") and name in names))


def _last_option(argument: str, takes_value: Collection[str]) -> tuple[str, str]:
    """The option that an argument ends with, and the value that is glued to it: `-qo FILE`, `-mMODULE`."""
    if not argument.startswith("--"):
        for end, letter in enumerate(argument[1:], start=2):
            if f"-{letter}" in takes_value:
                return f"-{letter}", argument[end:]
    return argument, ""


@click.command(cls=ProgramCommand, context_settings={"allow_interspersed_args": False})
@click.argument("arguments", metavar="[SCRIPT] [ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
@click.option("-m", "module", metavar="MODULE", help="Run a module, as python -m does.")
@click.option("-c", "code", metavar="CODE", help="Run source text, as python -c does.")
@click.option("--call", metavar="CALL", help="Record one call, such as 'f(3)', of a function in SCRIPT.")
@click.option("--entry", metavar="NAME", help="Record from the first call of this function to its return.")
@click.option("-o", "--output", metavar="FILE", help="The trace file; .gz and .zst are compressed.")
@click.option("--include", multiple=True, metavar="GLOB", help="Record these files too.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Do not record these files.")
@click.option("--max-frames", type=click.IntRange(1), help="Stop recording after so many frames.")
@click.option("--max-bytes", type=click.IntRange(1), help="Stop recording after so many bytes of values.")
@click.option("--max-value-chars", type=click.IntRange(1), help="Keep so many characters of a value.")
@click.option("--max-depth", type=click.IntRange(0), help="Step over deeper calls; the entry has depth 0.")
@click.option(
    "--expand-objects",
    type=click.IntRange(0),
    default=0,
    metavar="DEPTH",
    help="Show objects by their state, so many deep: Cart(total=3).",
)
@click.option(
    "--redact",
    multiple=True,
    metavar="NAME|REGEX",
    help="Write no values of this name, nor text that matches; 'default' means the usual names.",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Interrupt after so many seconds.")
@click.option(
    "--recorder",
    type=click.Choice(["auto", "python", "c"]),
    default="auto",
    help="auto: the compiled one where it was built, or what CWM_TRACE_RECORDER says.  [default: auto]",
)
@click.option("--sandbox", is_flag=True, help="Run it in a child process that cannot harm the rest.")
@click.option("--per-test", is_flag=True, help="With -m pytest: one trace for each test, in -o FOLDER.")
@click.option("--predict", "beside", is_flag=True, help="Show what a model predicts beside what happened.")
@click.option("--model", metavar="MODEL", help=f"Of --predict: who.  [default: {DEFAULT}]")
@click.option("--mode", metavar="MODE", help="Of --predict: how.  [default: forced]")
@click.option("--view", is_flag=True, help="Of --predict: write both as a page for the browser, FILE.html.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say where the trace went.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as the last line of standard output.")
def run(
    arguments: tuple[str, ...],
    module: str | None,
    code: str | None,
    call: str | None,
    entry: str | None,
    output: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    max_frames: int | None,
    max_bytes: int | None,
    max_value_chars: int | None,
    max_depth: int | None,
    expand_objects: int,
    redact: tuple[str, ...],
    timeout: float | None,
    recorder: Literal["auto", "python", "c"],
    sandbox: bool,
    per_test: bool,
    beside: bool,
    model: str | None,
    mode: str | None,
    view: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run a program and record it, frame by frame as it happens.

    The program runs as under python, with its own standard streams and exit code; options come before it,
    and what stands behind it is its own: if it looks like an option of this command, a line on standard error
    says so (`--` before the program's arguments silences it).
    Only the user's code is recorded, not the standard library and not installed packages. At a frame or
    byte limit recording stops and the program goes on; with --sandbox it is ended there, or after 10 seconds.
    """
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.records import Limits
    from cwm_trace.storage import TraceWriter
    from cwm_trace.tracer.redaction import Rules
    from cwm_trace.tracer.session import Options, record_program

    _warn_of_options()
    Rules(redact)  # a rule that cannot be read is said before anything runs
    if not beside and (model or mode):
        raise CwmTraceError("--model and --mode say how to predict: they need --predict")
    if not beside and view:
        raise CwmTraceError(
            "--view shows a prediction beside the run: it needs --predict, or take `view TRACE`"
        )
    if per_test:
        if entry is not None or timeout is not None or beside or quiet or as_json:
            raise CwmTraceError(
                "--per-test does not go with --entry, --timeout, --predict, --quiet or --json"
            )
        bounds = {
            "max_frames": max_frames,
            "max_bytes": max_bytes,
            "max_value_chars": max_value_chars,
            "max_depth": max_depth,
        }
        how = {
            "include": include,
            "exclude": exclude,
            "limits": bounds,
            "expand_objects": expand_objects,
            "redact": redact,
        }
        _run_pytest(arguments, module, output or "pytest.traces", how)
    if sandbox and module is not None:  # before anything of it is imported
        raise CwmTraceError("--sandbox does not go with -m or a folder: give a SCRIPT or -c CODE")
    if (sandbox or per_test) and recorder == "c":
        raise CwmTraceError("--recorder c does not go with --sandbox or --per-test: leave it out")
    program, default = _load(arguments, module, code, call, output)
    if sandbox and program.module is not None:
        raise CwmTraceError("--sandbox does not go with -m or a folder: give a SCRIPT or -c CODE")
    limits = Limits(max_frames, max_bytes, max_value_chars, max_depth, timeout)
    path = output or default
    show_beside = (
        _prepare_prediction(path, model or DEFAULT, mode or "forced", view) if beside else lambda: None
    )
    if sandbox:
        from cwm_trace.cli.sandboxed import run_sandboxed

        job = {
            "call": call or "",
            "entry": entry,
            "include": include,
            "exclude": exclude,
            "expand_objects": expand_objects,
        }
        with TraceWriter(path) as writer:
            ended = run_sandboxed(program, job, writer, limits, redact)
        _report(ended, path, writer.size, quiet=quiet, as_json=as_json)
        show_beside()
        sys.exit(ended.exit_code)
    options = Options(
        limits=limits,
        include=include,
        exclude=exclude,
        expand_objects=expand_objects,
        redact=redact,
        recorder=recorder,
        whole_process=True,
    )
    writer = TraceWriter(path)
    try:
        with _no_context():
            ending = record_program(program, writer, options, entry=entry)
    finally:
        refused = _close(writer)
    ending = replace(ending, failure=ending.failure or refused)
    if ending.forked:
        sys.exit(ending.exit_code)
    _report(ending, path, writer.size, quiet=quiet, as_json=as_json)
    show_beside()
    _leave(ending)


def _close(writer: TraceWriter) -> OSError | None:
    """Close the file of a recording; gives why it is not whole."""
    try:
        writer.close()
    except OSError as refused:
        return refused
    return None


def _warn_of_options() -> None:
    program, names = click.get_current_context().meta.get(_MISPLACED, ("", []))
    if names:
        verb = "is its argument" if len(names) == 1 else "are its arguments"
        click.echo(
            f"cwm-trace: {', '.join(names)} behind {program} {verb}, no option of cwm-trace: options come"
            f" before {program} (-- before its arguments silences this)",
            err=True,
        )


def _prepare_prediction(path: str, model: str, mode: str, view: bool) -> Callable[[], None]:
    """What shows the prediction afterwards; a wrong name is said before the program runs."""
    from cwm_trace.cli.beside import show_prediction
    from cwm_trace.predict.modes import parse_mode
    from cwm_trace.predict.registry import check_name

    parse_mode(mode)
    check_name(model)
    model = os.path.abspath(model) if os.path.isdir(model) else model
    return partial(show_prediction, os.path.abspath(path), model, mode, view)


@contextmanager
def _no_context() -> Iterator[None]:
    """Hide our click contexts: a program that uses click must not find them as its own."""
    hidden = []
    while (context := click.get_current_context(silent=True)) is not None:
        hidden.append(context)
        pop_context()
    try:
        yield
    finally:
        for context in reversed(hidden):
            push_context(context)


def _run_pytest(
    arguments: tuple[str, ...], module: str | None, folder: str, how: Mapping[str, object]
) -> NoReturn:
    """Become a pytest that records each of its tests."""
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.own_process import pytest_command

    if module != "pytest":
        raise CwmTraceError("--per-test needs -m pytest: it records the tests that pytest runs")
    command = pytest_command(arguments, folder, how)
    os.execv(command[0], command)


def _load(
    arguments: tuple[str, ...],
    module: str | None,
    code: str | None,
    call: str | None,
    output: str | None,
) -> tuple[Runnable, str]:
    """The program, and the name of its trace file unless another is asked for."""
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.tracer.target import is_archive, load_named

    if output == "-":
        raise CwmTraceError("-o - is not possible: standard output is the program's own")
    if module is not None and code is not None:
        raise CwmTraceError("-m and -c exclude each other: give one program")
    if call is not None and (module is not None or code is not None or len(arguments) != 1):
        raise CwmTraceError("--call needs exactly one SCRIPT, whose function it calls, and no arguments")
    if module is not None:
        return load_named(module=module, arguments=arguments), f"{module}.trace.jsonl"
    if code is not None:
        return load_named(source=code, arguments=arguments), "code.trace.jsonl"
    if not arguments:
        raise CwmTraceError("there is no program: give a SCRIPT, -m MODULE or -c CODE")
    script = arguments[0]
    place = os.path.abspath(script) if call is None and is_archive(script) else script
    name = os.path.splitext(os.path.basename(place))[0]
    if script == "-" and call is None:
        name = "stdin"
    program = load_named(path=script, call=call or "", arguments=arguments[1:])
    return program, f"{name}.trace.jsonl"


def _report(ending: Ending, path: str, size: int, *, quiet: bool, as_json: bool) -> None:
    from cwm_trace.tracer.extension import IS_BUILT

    trace = ending.trace
    if ending.failure is not None:
        _say(f"cwm-trace: recording ended early: {path}: {ending.failure.strerror}")
    for warning in trace.warnings:
        _say(f"cwm-trace: {warning}")
    if as_json:
        summary: dict[str, Any] = {
            "trace": path,
            "frames": ending.frames,
            "outcome": trace.outcome.value,
            "exit_code": trace.run.exit_code,
            "bytes": size,
            "skipped": trace.run.skipped,
            "recorder": trace.run.recorder,
            "warnings": list(trace.warnings),
        }
        _say(json.dumps(summary), to_error=False)
    elif not quiet:
        _say(f"cwm-trace: {ending.frames} frames ({trace.outcome.value}) in {path}")
    if ending.frames >= _MANY and not IS_BUILT and not quiet:
        _say(
            "cwm-trace: recorded in Python, several times slower: the compiled recorder is not part of this"
            " installation, which found no C compiler or another Python than 3.10 to 3.13"
        )
    if size >= _LARGE and not quiet:
        _say(
            f"cwm-trace: the trace has {size / 1e6:.0f} MB: --max-value-chars cuts long values, --entry and"
            " --exclude record less of the program, --max-depth steps over deep calls, --max-frames and"
            " --max-bytes end the recording, -o FILE.gz compresses it"
        )


def _say(text: str, *, to_error: bool = True) -> None:
    """Say something after the program, which may have closed its streams."""
    with suppress(OSError, ValueError):
        click.echo(text, err=to_error)


def _leave(ending: Ending) -> None:
    """Exit as the program would have; what it had to say it has said."""
    from cwm_trace.tracer.values import TimeLimitReached

    error = ending.error
    if isinstance(error, TimeLimitReached):
        _say(f"cwm-trace: {error}")
    if isinstance(error, KeyboardInterrupt):  # a parent sees a death by SIGINT, as with python
        with suppress(OSError, ValueError, AttributeError):  # closed, or None
            sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(ending.exit_code)

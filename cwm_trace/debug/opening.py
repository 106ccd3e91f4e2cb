"""How a session begins: a program is recorded now, in the sandbox or as itself, or a trace file is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cwm_trace.debug.console import Console
from cwm_trace.debug.session import Session
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.baselines import BASELINES
from cwm_trace.predict.protocol import Predictor
from cwm_trace.predict.registry import DEFAULT, check_name, find_predictor, has_mini_packages
from cwm_trace.records import Decoding, Limits, Trace


@dataclass(frozen=True)
class Opening:
    """What to debug, and how.

    Args:
        file: a script; empty where a trace says enough.
        source: text of a program, in the place of a file.
        call: a call such as `f(3)` of a function in it; empty: the whole script.
        arguments: of the script.
        trace: a trace file, in the place of recording.
        model: who predicts, by name; empty: `mini` if its packages are there, else `flow-copy`.
        temperature, seed: of the model.
        real: hold the real execution; False: the program is never run.
        predicted: predict.
        sandbox: record in a child process that cannot harm the rest, else as `cwm-trace run` does.
        timeout: seconds for the recording; None: the sandbox's.
        max_frames: of the recording.
        writes: variables to write meanwhile: index of the frame, name, literal.
    """

    file: str = ""
    source: str = ""
    call: str = ""
    arguments: Sequence[str] = ()
    trace: str = ""
    model: str = ""
    temperature: float = 0.0
    seed: int = 0
    real: bool = True
    predicted: bool = True
    sandbox: bool = True
    timeout: float | None = None
    max_frames: int | None = None
    writes: Sequence[tuple[int, str, str]] = ()


def open_console(opening: Opening) -> Console:
    """The session that is asked for.

    Raises:
        CwmTraceError: no such program, trace or model; a trace of another program; no frame at all.
    """
    from cwm_trace.storage import read_trace

    if not (opening.file or opening.source or opening.trace):
        raise CwmTraceError("there is nothing to debug: give a FILE or a trace")
    if opening.predicted:
        check_name(model_of(opening))  # before anything is run
    if opening.trace:
        real: Trace | None = read_trace(opening.trace)
        assert real is not None
        if not real.frames:
            raise CwmTraceError(f"{opening.trace} has no frames to step through")
        if opening.file:
            _require_same_program(real, opening)
    else:
        real = record(opening) if opening.real else None
    predictor = open_model(opening) if opening.predicted else None
    if real is not None and real.guess.mode:
        raise CwmTraceError(f"{opening.trace} is a prediction: give the trace of a real execution")
    program = _program_of(opening) if real is None else None
    console = Console(
        Session(real, program, predictor), find_model=lambda name: open_model(replace(opening, model=name))
    )
    if opening.sandbox and not (opening.trace and not opening.file):
        from cwm_trace.debug.replay import replay_what_if

        runnable = _as_recorded(opening, real)
        console.replay = lambda fork: replay_what_if(runnable, fork)
        console.replays_unasked = not opening.trace and opening.real
    return console


def open_model(opening: Opening) -> Predictor:
    """The predictor that is asked for, with its log-probabilities where it has some."""
    name = model_of(opening)
    if name in BASELINES:
        return find_predictor(name)
    decoding = Decoding(
        temperature=opening.temperature, seed=opening.seed, logprobs=not name.startswith("chat:")
    )
    return find_predictor(name, decoding, grammar="flow")


def model_of(opening: Opening) -> str:
    """The name of who predicts."""
    return opening.model or (DEFAULT if has_mini_packages() else "flow-copy")


def record(opening: Opening) -> Trace:
    """Run the program and record it.

    Raises:
        CwmTraceError: it cannot be read, compiled or run, or left no frame.
    """
    trace = _record_isolated(opening) if opening.sandbox else _record_as_itself(opening)
    if not trace.frames:
        why = trace.warnings[0] if trace.warnings else f"it ended at once ({trace.outcome.value})"
        raise CwmTraceError(f"{opening.file or 'the program'} left no frame to step through: {why}")
    return trace


def job_of(opening: Opening) -> dict[str, object]:
    """What the sandbox is told to run."""
    program = {"path": str(Path(opening.file).resolve()), "name": opening.file}
    if opening.source:
        program = {"source": opening.source, "name": "<source>"}
    return {
        **program,
        "call": opening.call,
        "arguments": list(opening.arguments),
        "writes": list(opening.writes),
    }


def _check(opening: Opening) -> None:
    """Say what is wrong with a program before anything is run.

    Raises:
        CwmTraceError: it cannot be read or compiled.
    """
    from cwm_trace.tracer.target import load_named

    path = "" if opening.source else opening.file
    load_named(path=path, source=opening.source, call=opening.call, arguments=opening.arguments)


def _record_isolated(opening: Opening) -> Trace:
    from cwm_trace.tracer.sandbox import SANDBOX_LIMITS, record_isolated
    from cwm_trace.tracer.session import Memory
    from cwm_trace.tracer.supervision import Bounds

    _check(opening)
    memory = Memory()
    timeout = opening.timeout
    record_isolated(
        job_of(opening),
        memory,
        limits=replace(SANDBOX_LIMITS, max_frames=opening.max_frames or SANDBOX_LIMITS.max_frames),
        bounds=Bounds() if timeout is None else Bounds(timeout, int(timeout) + 1),
        readable=[str(Path(opening.file).resolve().parent)] if opening.file else [],
        keep_output=True,
    )
    return memory.trace


def _record_as_itself(opening: Opening) -> Trace:
    from cwm_trace.own_process import record_own

    limits = Limits(max_frames=opening.max_frames, timeout=opening.timeout)
    done = record_own(opening.file, opening.call, opening.arguments, limits=limits)
    return replace(done.trace, run=replace(done.trace.run, output=done.output))


def _as_recorded(opening: Opening, real: Trace | None) -> Opening:
    """How to run again what was recorded: of a trace file, the call or the arguments that it tells."""
    if not opening.trace or real is None:
        return opening
    if real.entry != "main" or opening.call:
        return replace(opening, arguments=real.program.arguments)
    last = real.files[0].text.rstrip("\n").rpartition("\n")[2]
    return replace(opening, call=last.strip().removeprefix("return "))


def _program_of(opening: Opening) -> Trace:
    """The program with the CALL of its entry, read and never run."""
    from cwm_trace.api import predict_execution

    return predict_execution(opening.file, call=opening.call or None, model="halt", max_frames=1)


def _require_same_program(trace: Trace, opening: Opening) -> None:
    from cwm_trace.tracer.program import read_source

    text = read_source(opening.file)
    if not any(_same_text(file.text, text) for file in trace.files):
        raise CwmTraceError(
            f"{opening.trace} is the trace of another program than {opening.file}, or of another version"
        )


def _same_text(recorded: str, text: str) -> bool:
    """Whether a file was recorded from this text; of a call, with the entry that calls it behind it."""
    return recorded == text or recorded.startswith(text.rstrip("\n") + "\n")

"""What is debugged and how it runs: in the sandbox, as itself, or once more with variables written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cwm_trace.api import predict_execution
from cwm_trace.debug.difference import texts_of
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.own_process import record_own
from cwm_trace.records import Limits, Trace
from cwm_trace.tracer.sandbox import SANDBOX_LIMITS, record_isolated
from cwm_trace.tracer.session import Memory
from cwm_trace.tracer.supervision import Bounds
from cwm_trace.tracer.target import load_named


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


def _job_of(opening: Opening) -> dict[str, object]:
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
    path = "" if opening.source else opening.file
    load_named(path=path, source=opening.source, call=opening.call, arguments=opening.arguments)


def _record_isolated(opening: Opening) -> Trace:
    _check(opening)
    memory = Memory()
    timeout = opening.timeout
    record_isolated(
        _job_of(opening),
        memory,
        limits=replace(SANDBOX_LIMITS, max_frames=opening.max_frames or SANDBOX_LIMITS.max_frames),
        bounds=Bounds() if timeout is None else Bounds(timeout, int(timeout) + 1),
        readable=[str(Path(opening.file).resolve().parent)] if opening.file else [],
        keep_output=True,
    )
    return memory.trace


def _record_as_itself(opening: Opening) -> Trace:
    limits = Limits(max_frames=opening.max_frames, timeout=opening.timeout)
    done = record_own(opening.file, opening.call, opening.arguments, limits=limits)
    return replace(done.trace, run=replace(done.trace.run, output=done.output))


def read_program(opening: Opening) -> Trace:
    """The program with the CALL of its entry, read and never run."""
    return predict_execution(opening.file, call=opening.call or None, model="halt", max_frames=1)


def as_recorded(opening: Opening, real: Trace | None) -> Opening:
    """How to run again what was recorded: of a trace file, the call or the arguments that it tells."""
    if not opening.trace or real is None:
        return opening
    if real.entry != "main" or opening.call:
        return replace(opening, arguments=real.program.arguments)
    last = real.files[0].text.rstrip("\n").rpartition("\n")[2]
    return replace(opening, call=last.strip().removeprefix("return "))


def replay_what_if(opening: Opening, fork: Track) -> Trace:
    """What really happens where a variable has another value.

    Raises:
        CwmTraceError: the variable cannot be written, or the program did not do the same before that frame.
    """
    trace = record(replace(opening, writes=[(edit.index, edit.name, edit.text) for edit in fork.edits]))
    last = fork.edits[-1]
    for index in range(last.index + 1):
        written = [edit.name for edit in fork.edits if edit.index == index]
        frames = trace.frames[index : index + 1]
        if not frames or texts_of(frames[0], written) != texts_of(fork.timeline.frames[index], written):
            raise CwmTraceError(
                f"when the program ran again it differed at frame {index}, before {last.name} is written at"
                f" frame {last.index}"
            )
    return trace

"""Programs from outside, recorded in a child process that cannot harm the rest.

Covered everywhere:

- time: a budget of frames and of recorded bytes ends the program; behind it bounds on CPU seconds and on
  the wall clock. What was recorded before the end is kept.
- memory, size of each file, open files, processes and threads (`resource`), bytes written to standard output;
- a fresh process with nothing of ours in it: no descriptors but its own, an empty environment, an empty
  input, a temporary folder as working directory, which is removed afterwards;
- nothing is left behind: on Linux orphans are found wherever they went.

Where the kernel lets us (root, or user namespaces): process numbers of its own, so that other processes
cannot be signalled, and no network. As root, a user of its own that owns nothing. Where bubblewrap is
installed: besides that it sees only the system and the installed packages, read-only.

Not covered: faults of the kernel; how much is written in many files together; other programs' use of CPU
and disk meanwhile. A program may look for our descriptor and forge its own trace. Without bubblewrap it
reads what its user may read, as root everything if Python lies in a folder of root's; without namespaces it
may signal its user's processes and use the network. On macOS only `resource`'s part holds.
`Isolated.isolation` says which of this a run had.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cwm_trace import records
from cwm_trace.errors import CwmTraceError
from cwm_trace.plain import checker
from cwm_trace.records import (
    Capture,
    Limits,
    Outcome,
    Program,
    Run,
    SlotFields,
    SourceFile,
    Trace,
)
from cwm_trace.tracer.channel import ChannelReader, Receiver
from cwm_trace.tracer.session import NOT_RECORDED, Lines, Memory
from cwm_trace.tracer.steps import Step, StepResult
from cwm_trace.tracer.supervision import Bounds, Isolation, SandboxError, Verdict, run_child

SANDBOX_LIMITS = Limits(max_frames=100_000, max_bytes=64 * 2**20)
"""At the first of these a sandboxed program is ended."""


@dataclass(frozen=True, slots=True)
class Isolated:
    """How a sandboxed run ended.

    Args:
        trace: all that was recorded.
        reason: `returned`, `raised`, `exited`; or what ended it: `frame-limit`, `byte-limit`, `output-limit`,
            `cpu-limit`, `memory-limit`, `timed-out`, `killed` (by a signal), `left` (by `os._exit`),
            `damaged` (it wrote into our descriptor).
        detail: the signal, status or exception behind that.
        isolation: what it ran in: `bubblewrap`, `namespaces` or `process`.
        seconds: of wall-clock time, the start of the process included.
        memory: bytes of memory it had at the most.
    """

    trace: Trace
    reason: str
    detail: str = ""
    isolation: Isolation = "process"
    seconds: float = 0.0
    memory: int = 0


def trace_isolated(
    source: str,
    call: str = "",
    *,
    limits: Limits = SANDBOX_LIMITS,
    bounds: Bounds = Bounds(),
    keep_addresses: bool = False,
    hash_seed: int = 0,
    isolation: Isolation | None = None,
) -> Isolated:
    """Run source text in a fresh child process and record it.

    Args:
        source: module text.
        call: an expression such as `f(3)`; empty: the text is a script.
        limits: of the recording, and of the program: it ends at the first that it reaches.
        bounds: what it may use.
        keep_addresses: leave ` at 0x…` in values.
        hash_seed: of strings, on which the order of a set depends.
        isolation: `bubblewrap`, `namespaces` (where the kernel lets us) or `process`; None: the best there
            is.

    Raises:
        CwmTraceError: the program cannot be compiled, or bubblewrap is asked for and missing.
    """
    memory = Memory()
    job = {"source": source, "call": call, "keep_addresses": keep_addresses}
    run = record_isolated(
        job, memory, limits=limits, bounds=bounds, hash_seed=hash_seed, isolation=isolation, keep_output=True
    )
    return replace(run, trace=memory.trace)


def trace_lines_isolated(source: str, call: str, limits: Limits, bounds: Bounds) -> tuple[Trace, bytes, str]:
    """`trace_isolated` for many: the trace without its frames, those as `Lines` has them, and the reason.

    Raises:
        CwmTraceError: the program cannot be compiled.
    """
    sink = Lines()
    job = {"source": source, "call": call}
    run = record_isolated(job, sink, limits=limits, bounds=bounds, keep_output=True)
    return sink.trace, sink.lines, run.reason


def record_isolated(
    job: Mapping[str, Any],
    sink: Receiver,
    *,
    limits: Limits = SANDBOX_LIMITS,
    bounds: Bounds = Bounds(),
    readable: Sequence[str] = (),
    hash_seed: int = 0,
    isolation: Isolation | None = None,
    keep_output: bool = False,
    streams: tuple[int, int] | None = None,
) -> Isolated:
    """Record into a sink, frame by frame as the child sends them.

    Args:
        job: `source`, `call`, `name`, or `path` of a script; `arguments`, `entry`, `include`, `exclude`,
            `keep_addresses`, `expand_objects`, as for `cwm_trace.tracer.session`; `writes`, as for
            `cwm_trace.tracer.writing`.
        sink: takes the recording; always gets a footer.
        limits: as for `trace_isolated`.
        bounds: as for `trace_isolated`.
        readable: folders that it sees in bubblewrap, besides the system.
        hash_seed: as for `trace_isolated`.
        isolation: as for `trace_isolated`.
        keep_output: put what it writes to standard output into the trace.
        streams: descriptors that its standard output and standard error are copied to.

    Returns:
        The ending; its trace has no frames.
    """
    limits = replace(limits, timeout=bounds.seconds)
    files = (SourceFile(str(job.get("name") or "<source>"), str(job.get("source", ""))),)
    capture = Capture(int(job.get("expand_objects", 0)))
    template = Trace(Program(files), capture=capture, run=Run(limits=limits, not_recorded=NOT_RECORDED))
    notes: dict[str, str] = {}

    def hear(message: list[Any]) -> None:
        notes[str(message[0])] = str(message[1])

    reader = ChannelReader(sink, template, hear)
    full = {"kind": "trace", **_DEFAULTS, **job}
    verdict = run_child(
        full,
        reader.feed,
        limits,
        bounds,
        readable=readable,
        hash_seed=hash_seed,
        isolation=isolation,
        streams=streams,
    )
    if "refused" in notes:
        raise CwmTraceError(notes["refused"])
    _require_start(verdict, notes.get("broken", ""), started=reader.has_header)
    reason, detail = _judge(verdict, reader, notes.get("error", ""))
    trace = reader.trace
    if not reader.has_header:
        sink.header(trace)
    if not reader.has_footer:
        outcome = _OUTCOMES.get(reason, Outcome.KILLED)
        code = verdict.status if reason == "left" else None
        warning = f"the program was ended in its sandbox: {reason}" + (f" ({detail})" if detail else "")
        trace = replace(trace, outcome=outcome, warnings=(warning,), run=replace(trace.run, exit_code=code))
    if keep_output:
        output = verdict.output.decode("utf-8", "backslashreplace")
        trace = replace(trace, run=replace(trace.run, output=output))
    sink.footer(trace)
    return Isolated(trace, reason, detail, verdict.isolation, verdict.seconds, verdict.memory)


def run_isolated(
    source: str,
    steps: Sequence[Step],
    *,
    limits: Limits = Limits(max_frames=10_000),
    bounds: Bounds = Bounds(),
    keep_addresses: bool = False,
    hash_seed: int = 0,
    isolation: Isolation | None = None,
) -> list[StepResult]:
    """Run statements in one child process, each from a state of its own.

    A step that ends the child, or has to be ended, is marked, and the rest goes on in another child.

    Args:
        source: definitions that the steps may use, made anew for each of them.
        steps: what to run.
        limits: `max_frames` bounds the lines that one step runs, the definitions included; `max_value_chars`.
        bounds: of all steps together; `seconds` for those in one child.
        keep_addresses: as for `trace_isolated`.
        hash_seed: as for `trace_isolated`.
        isolation: as for `trace_isolated`.

    Returns:
        A result for each step, in their order.

    Raises:
        CwmTraceError: `source` cannot be compiled.
    """
    try:
        compile(source, "<source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise CwmTraceError(f"the definitions cannot be compiled: {error}") from error
    results: dict[int, StepResult] = {}
    while len(results) < len(steps):
        batch = [(number, asdict(step)) for number, step in enumerate(steps) if number not in results]
        job = {
            **_DEFAULTS,
            "kind": "steps",
            "source": source,
            "steps": batch,
            "keep_addresses": keep_addresses,
        }
        heard = _Steps(results)
        reader = ChannelReader(Memory(), Trace(Program()), heard.hear)
        verdict = run_child(job, reader.feed, limits, bounds, hash_seed=hash_seed, isolation=isolation)
        _require_start(verdict, heard.broken, started=heard.begun is not None)
        last = batch[0][0] if heard.begun is None else heard.begun
        if last not in results:  # the step that ended the child, or for which it was ended
            reason, detail = _judge(verdict, reader, "")
            results[last] = StepResult("timed-out" if reason == "timed-out" else "killed", message=detail)
    return [results[number] for number in range(len(steps))]


class _Steps:
    """What a child says of the steps that it takes."""

    def __init__(self, results: dict[int, StepResult]) -> None:
        self._results = results
        self.begun: int | None = None
        self.broken = ""

    def hear(self, message: list[Any]) -> None:
        match message:
            case ["begin", int(number)]:
                self.begun = number
            case ["step", int(number), dict(fields)] if number == self.begun:
                self._results[number] = _result(fields)
            case ["broken", str(why)]:
                self.broken = why


_DEFAULTS: Mapping[str, Any] = {
    "source": "",
    "call": "",
    "name": "<source>",
    "path": "",
    "arguments": (),
    "entry": None,
    "include": (),
    "exclude": (),
    "keep_addresses": False,
    "expand_objects": 0,
    "writes": (),
}

_OUTCOMES = {
    "timed-out": Outcome.TIMED_OUT,
    "cpu-limit": Outcome.TIMED_OUT,
    "output-limit": Outcome.BYTE_LIMIT,
    "left": Outcome.EXITED,
}


def _result(fields: Mapping[str, Any]) -> StepResult:
    def slot(data: Any) -> records.Slot:
        return records.Slot(**checker(SlotFields).validate_python(data))

    truth = fields.get("truth")
    return StepResult(
        ended=str(fields["ended"]),
        state={str(name): slot(data) for name, data in fields.get("state", {}).items()},
        value=slot(fields["value"]) if "value" in fields else None,
        truth=truth if isinstance(truth, bool) else None,
        error=slot(fields["error"]) if "error" in fields else None,
        message=str(fields.get("message", "")),
    )


def _require_start(verdict: Verdict, why: str, *, started: bool) -> None:
    if not why and not started and not verdict.supervised and not verdict.ended:
        why = (
            verdict.errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
            or "its process ended at once"
        )
    if why:
        raise SandboxError(f"the sandbox could not be set up here: {why}")


def _judge(verdict: Verdict, reader: ChannelReader, error: str) -> tuple[str, str]:
    """The reason why a run ended, and the detail behind it."""
    if verdict.ended:
        return verdict.ended, ""
    if not verdict.supervised:
        return "killed", "together with its supervisor"
    if verdict.signal == signal.SIGXCPU:
        return "cpu-limit", "SIGXCPU"
    if verdict.signal == signal.SIGXFSZ:
        return "killed", "SIGXFSZ: a file grew too large"
    if verdict.signal:
        return "killed", _signal_name(verdict.signal)
    if verdict.status is None:
        return "timed-out", ""
    if error == "MemoryError":
        return "memory-limit", error
    if reader.has_footer:
        return reader.trace.outcome.value, error
    return "left", f"status {verdict.status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

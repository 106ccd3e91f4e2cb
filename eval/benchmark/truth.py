"""The real executions of a benchmark's programs, recorded on the spot.

Programs that our own generators made run in this process; code from outside runs in the sandbox; the user's
own code runs as the user would run it, in a process of its own. Where a value may depend on the seed of
`hash`, there is a second run with another seed, so that what differs can be masked.
"""

from __future__ import annotations

import ast
import threading
from dataclasses import dataclass, replace

from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.tasks import HASH_SEEDS, LIMITS, Case
from cwm_trace.eval.comparison.answers import Verdict, judge_answer
from cwm_trace.own_process import record_own
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Event, Limits, Outcome, Run, Slot, Trace
from cwm_trace.tracer.sandbox import run_isolated, trace_isolated
from cwm_trace.tracer.session import Memory, Options, record_program
from cwm_trace.tracer.steps import Step
from cwm_trace.tracer.supervision import Bounds, SandboxError
from cwm_trace.tracer.target import load_text

_ENDINGS = tuple(outcome.value for outcome in ENDED)
_DEPENDENT_NAMES = {"set", "frozenset", "hash", "id", "dir", "vars", "globals", "locals", "__hash__"}
_SET_OPERATORS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)  # on the views of a dict, they give sets
_VIEWS = {"keys", "items"}
_STEADY_MODULES = {
    *("abc", "bisect", "collections", "copy", "dataclasses", "enum", "functools", "heapq", "itertools"),
    *("math", "operator", "re", "string", "typing", "__future__"),
}


class ExcludedError(Exception):
    """A program has no real execution to compare with; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happens.

    Args:
        trace: the real execution.
        again: the same with another hash seed; None where nothing could depend on it.
    """

    trace: Trace
    again: Trace | None = None


def record_truth(case: Case, limits: Limits = LIMITS) -> Truth:
    """Record the real execution of a program.

    Raises:
        ExcludedError: it cannot be compiled or recorded, or does not end within `limits`.
    """
    try:
        first = case.recorded[0] if case.recorded else _record(case, limits, 0)
        _require_end(first, case)
        if case.recorded:
            again = case.recorded[1] if len(case.recorded) > 1 else None
        elif any(may_depend_on_hash(file.text) for file in first.files):
            again = _record(case, limits, 1)
        else:
            again = None
    except SandboxError:
        raise
    except CwmTraceError as error:
        raise ExcludedError(f"cannot be recorded: {error}") from error
    return Truth(first, again)


def find_truth(case: Case, limits: Limits = LIMITS) -> Truth | str:
    """The real execution, or why there is none.

    Raises:
        SandboxError: there is no sandbox here: nothing that a log should keep of the program.
    """
    if case.refusal:
        return case.refusal
    try:
        return record_truth(case, limits)
    except ExcludedError as error:
        return str(error)
    except SandboxError:
        raise
    except Exception as error:  # whatever a stranger's program makes of our own code, the others are recorded
        return f"cannot be recorded: {type(error).__name__}: {error}"


def _require_end(trace: Trace, case: Case) -> None:
    if trace.outcome not in ENDED:
        raise ExcludedError(f"no known end: {trace.outcome.value}")
    if not trace.frames and trace.outcome is Outcome.RAISED:
        raise ExcludedError(f"it raises before its call: {_why_it_raises(case)}")
    if not trace.frames:
        raise ExcludedError(f"it never comes to its call: {trace.outcome.value}")
    if len(trace.frames) < 2 or trace.frames[0].event is not Event.CALL:
        raise ExcludedError("nothing to predict: fewer than two frames")
    if any(frame.thread for frame in trace.frames):
        raise ExcludedError("several threads, which one stack of frames cannot show")
    if case.item.expected is None:
        return
    found = judge_answer(Slot(case.item.expected), trace.value)
    if found is Verdict.MISSING:
        raised = next(
            (f.value for f in reversed(trace.frames) if f.event is Event.EXCEPTION and f.value), None
        )
        what = "has no value" if raised is None else f"is {raised.text}"
        raise ExcludedError(f"its result on this Python {what}, not the published one")
    if found is not Verdict.RIGHT:
        raise ExcludedError("its result on this Python is not the published one")


def _why_it_raises(case: Case) -> str:
    """The exception of a module that does not get as far as its call."""
    (result,) = run_isolated(case.item.source, [Step("None", is_expression=True)])
    if result.error is None:
        return result.message or result.ended
    return f"{result.error.type}: {result.message}" if result.message else result.error.type


def start_of(truth: Trace) -> Trace:
    """What a predictor is given: the program and the CALL of its entry, nothing that only a run can know."""
    return replace(
        truth,
        frames=truth.frames[:1],
        warnings=(),
        run=Run(limits=truth.run.limits),
    )


def may_depend_on_hash(source: str) -> bool:
    """Whether a run of the program may differ with `PYTHONHASHSEED`: it has sets, hashes, or foreign modules.

    >>> may_depend_on_hash("x = {1: 'a'}")
    False
    >>> may_depend_on_hash("x = {'a', 'b'}")
    True
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    operators = views = False
    for node in ast.walk(tree):
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _DEPENDENT_NAMES:
                return True
            case ast.Attribute(attr=name) if name in _VIEWS:
                views = True
            case ast.BinOp(op=operator) if isinstance(operator, _SET_OPERATORS):
                operators = True
            case ast.Import(names=names):
                if any(alias.name.partition(".")[0] not in _STEADY_MODULES for alias in names):
                    return True
            case ast.ImportFrom(module=module):
                if (module or "").partition(".")[0] not in _STEADY_MODULES:
                    return True
    return operators and views


def _record(case: Case, limits: Limits, run: int) -> Trace:
    match case.place, run:
        case "own", _:
            return _record_own(case, limits, run)
        case "here", 0:
            return _record_here(case, limits)
        case _:
            return _record_isolated(case.item, limits, run)


def _record_own(case: Case, limits: Limits, run: int) -> Trace:
    done = record_own(case.path, case.item.call, limits=limits, hash_seed=HASH_SEEDS[run])
    if not done.trace.frames and done.trace.outcome is Outcome.RAISED:
        raise CwmTraceError(f"it raises before its call: {done.error or 'it does not say what'}")
    return done.trace


def _record_isolated(item: Item, limits: Limits, run: int) -> Trace:
    bounds = Bounds() if limits.timeout is None else Bounds(seconds=limits.timeout)
    done = trace_isolated(item.source, item.call, limits=limits, bounds=bounds, hash_seed=run)
    if done.reason not in _ENDINGS:
        raise ExcludedError(f"no known end: {done.reason}")
    return done.trace


def _record_here(case: Case, limits: Limits) -> Trace:
    if threading.current_thread() is not threading.main_thread():
        limits = replace(limits, timeout=None)  # which needs the main thread's signals
    item = case.item
    program = load_text(item.source, item.call)
    sink = Memory()
    ending = record_program(program, sink, Options(limits=limits, capture_output=True))
    if isinstance(ending.error, KeyboardInterrupt):
        raise ending.error
    return sink.trace

"""What a recording lacks, said to whoever reads the trace."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from cwm_trace.tracer.recorder import Recorder


def shortfalls(recorder: Recorder, entry: str) -> Iterator[str]:
    """A sentence for each reason why something that ran is not in the trace.

    Args:
        recorder: which has ended.
        entry: what was to be recorded.
    """
    if recorder.replaced:
        yield (
            "the trace function was replaced while the program ran (by the program, a debugger, a coverage"
            " tool, or a RecursionError): recording ended there"
        )
    if recorder.lost_threads:
        yield (
            f"of {recorder.lost_threads} other threads only a part was recorded: their trace function was"
            " removed (by the program, a RecursionError, or an exception that another thread sent)"
        )
    if recorder.displaced:
        yield f"{recorder.displaced} was set aside while this was recorded, and put back afterwards"
    if recorder.interrupted:
        yield "another recording began while this one ran: what it recorded is in its trace, not in this one"
    if recorder.lost_greenlets:
        yield (
            "greenlets were switched unheard after the program's own function for that raised, or replaced"
            " ours: their frames may stand on one stack"
        )
    if recorder.missed:
        yield (
            f"{recorder.missed} events could not be recorded (most often near the recursion limit, or where"
            " memory ended)"
        )
    if not recorder.entered:
        yield f"{entry} was never called: nothing was recorded"
    elif not recorder.frames and not recorder.interrupted and recorder.failure is None:
        ran = "; ".join(f"{name} ({why})" for name, why in recorder.sources.left_out.items())
        why = f"what ran is not the user's code: {ran}" if ran else "no Python code of the user's ran"
        yield f"nothing was recorded: {why}"


def note_unfinished(value: Any, notes: list[str]) -> None:
    """Note where a call has returned something of which nothing ran yet."""
    if inspect.iscoroutine(value) and inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
        value.close()  # it will never be awaited: Python need not warn of that as well
        notes.append("the call returned a coroutine, which ran nothing yet: call asyncio.run(…) of it")
    elif inspect.isgenerator(value) and inspect.getgeneratorstate(value) == inspect.GEN_CREATED:
        notes.append("the call returned a generator, which ran nothing yet: call list(…) of it")
    elif inspect.isasyncgen(value):
        notes.append("the call returned an asynchronous generator, which ran nothing: iterate over it")

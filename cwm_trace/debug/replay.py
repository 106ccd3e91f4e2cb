"""The truth of a what-if: the program runs again in the sandbox, its variables written on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cwm_trace.debug.difference import texts_of
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Trace

if TYPE_CHECKING:
    from cwm_trace.debug.opening import Opening


def replay_what_if(opening: Opening, fork: Track) -> Trace:
    """What really happens where a variable has another value.

    Raises:
        CwmTraceError: the variable cannot be written, or the program did not do the same before that frame.
    """
    from cwm_trace.debug.opening import record

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

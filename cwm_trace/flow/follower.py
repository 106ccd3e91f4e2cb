"""The rules along a history that grows, and that may be taken back and grow another way."""

from __future__ import annotations

from collections.abc import Sequence

from cwm_trace.flow.analysis import analyse
from cwm_trace.flow.history import Flow
from cwm_trace.records import Frame, Trace


class FlowFollower:
    """Keeps what the rules know after each frame of a history."""

    def __init__(self) -> None:
        self._program: Trace | None = None
        self._frames: list[Frame] = []
        self._flows: list[Flow] = []

    def follow(self, program: Trace, frames: Sequence[Frame]) -> Flow:
        """What the rules know after `frames`; not to be pushed to.

        Args:
            program: what is executed.
            frames: the history; as long as it begins with the very frames that it had, only the others are
                looked at.
        """
        if program is not self._program:
            self._program, self._frames, self._flows = program, [], [Flow(analyse(program))]
        known, flows = self._frames, self._flows
        while known and not (len(known) <= len(frames) and known[-1] is frames[len(known) - 1]):
            known.pop()
            flows.pop()
        for frame in frames[len(known) :]:
            flow = flows[-1].fork()
            flow.push(frame)
            known.append(frame)
            flows.append(flow)
        return flows[-1]

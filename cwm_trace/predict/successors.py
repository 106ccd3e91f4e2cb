"""What followed what: how often each frame came after each place in a history of frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cwm_trace.predict.known_frames import History
from cwm_trace.records import Event, Frame

Place = tuple[int, int, bool]
"""File, line, and whether a call from there has just returned."""
Step = tuple[Event, int, int]
"""Event, file, line."""


class Successors:
    """Counts over a history that grows, and that may be taken back and grow another way."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._places: list[Place | None] = []  # where each frame came from
        self._counts: dict[Place, Counter[Step]] = {}
        self._last: dict[Step, list[Frame]] = {}
        self._open: list[list[Frame]] = []  # last frames of the open activations, after each frame

    def follow(self, frames: Sequence[Frame]) -> None:
        """Make `frames` the history: those that are not in it are taken back."""
        while self._frames and not (
            len(self._frames) <= len(frames) and self._frames[-1] is frames[len(self._frames) - 1]
        ):
            self._take_back()
        for frame in frames[len(self._frames) :]:
            self._add(frame)

    def most_frequent(self, history: History, event: Event | None) -> Frame | None:
        """The frame that came here most often, of `event` if that is known; the latest wins ties."""
        counts = self._counts.get(_place(history.stack, self._frames[-1]), Counter())
        best, most = None, 0
        for step, times in counts.items():
            if times and (event is None or step[0] is event):
                latest = self._last[step][-1]
                if best is None or times >= most:
                    best, most = latest, times
        return best

    def _add(self, frame: Frame) -> None:
        stack = self._open[-1] if self._open else []
        place = _place(stack, self._frames[-1]) if stack else None
        step = (frame.event, frame.file, frame.line)
        if place is not None:
            counts = self._counts.setdefault(place, Counter())
            counts[step] = counts.pop(step, 0) + 1  # the latest is the last
        self._last.setdefault(step, []).append(frame)
        after = [below for below in stack if below.depth < frame.depth]
        if frame.event is not Event.RETURN:
            after.append(frame)
        self._frames.append(frame)
        self._places.append(place)
        self._open.append(after)

    def _take_back(self) -> None:
        frame, place = self._frames.pop(), self._places.pop()
        self._open.pop()
        step = (frame.event, frame.file, frame.line)
        self._last[step].pop()
        if place is not None:
            self._counts[place][step] -= 1


def _place(stack: Sequence[Frame], last: Frame) -> Place:
    top = stack[-1]
    return top.file, top.line, last.event is Event.RETURN

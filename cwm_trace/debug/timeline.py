"""The frames of one execution, indexed as they come: callers, states and changes at any of them at once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from cwm_trace.records import Event, Frame, Outcome, Slot, State, Trace

BLOCK = 8192
"""Frames of a recording that are indexed at a time."""
NOWHERE = -1
"""The caller of a frame that has none."""


class Timeline:
    """An execution that is read, or predicted, as far as somebody has looked.

    Args:
        program: its files and entry; the frames of it are left out of account.
        frames: what happened, in order.
        outcome: how it ended, once `frames` are used up.
    """

    def __init__(self, program: Trace, frames: Iterable[Frame] = (), outcome: Outcome | None = None) -> None:
        self.program = program
        self.frames: list[Frame] = []
        self.callers: list[int] = []
        """Of each frame, the last one of the activation that was running when its own was called."""
        self.lines: dict[tuple[int, int], list[int]] = {}
        """LINE frames by file and line."""
        self.calls: dict[tuple[int, int], list[int]] = {}
        """The first CALL of each activation, by the file and line of its definition."""
        self.exceptions: list[int] = []
        self.scored: list[int] = []
        """Frames whose probability is known."""
        self.writes: dict[str, list[int]] = {}
        """Frames that show a change of a variable of this name, in whatever activation."""
        self.ended = False
        self.outcome = Outcome.INCOMPLETE
        self._end = program.outcome if outcome is None else outcome
        self._left: Iterator[Frame] = iter(frames)
        self._stacks: dict[int, list[int]] = {}
        self._of: dict[int, list[int]] = {}
        self._ends: dict[tuple[int, Event], list[int]] = {}
        self._changes: dict[int, dict[str, list[tuple[int, Slot | None]]]] = {}

    def __len__(self) -> int:
        """Frames known so far."""
        return len(self.frames)

    def grow(self) -> bool:
        """Make at least one more frame known; False where the execution has ended.

        Raises:
            CwmTraceError: who predicts cannot go on.
        """
        before = len(self.frames)
        for frame in islice(self._left, BLOCK):
            self.push(frame)
        if len(self.frames) - before < BLOCK:
            self.ended, self.outcome = True, self._end
        return len(self.frames) > before

    def reach(self, index: int) -> bool:
        """Whether there is a frame of this index; makes it known."""
        while index >= len(self.frames):
            if not self.grow():
                return False
        return index >= 0

    def push(self, frame: Frame) -> None:
        """Add a frame that has happened."""
        index = len(self.frames)
        self.frames.append(frame)
        frames, event, activation = self.frames, frame.event, frame.activation
        stack = self._stacks.setdefault(frame.thread, [])
        while stack and frames[stack[-1]].depth >= frame.depth:
            stack.pop()
        self.callers.append(stack[-1] if stack else NOWHERE)
        own = self._of.get(activation)
        if event is Event.LINE:
            self.lines.setdefault((frame.file, frame.line), []).append(index)
            stack.append(index)
        else:
            self._ends.setdefault((activation, event), []).append(index)
            if event is not Event.RETURN:
                stack.append(index)
            if event is Event.EXCEPTION:
                self.exceptions.append(index)
            elif event is Event.CALL and own is None:
                self.calls.setdefault((frame.file, frame.line), []).append(index)
        if own is None:
            self._of[activation] = [index]
        else:
            own.append(index)
        if frame.logprobs:
            self.scored.append(index)
        if frame.changed:
            changes = self._changes.setdefault(activation, {})
            for name, slot in frame.changed.items():
                changes.setdefault(name, []).append((index, slot))
                self.writes.setdefault(name, []).append(index)

    # --- where a frame stands ---

    def stack(self, index: int) -> list[int]:
        """The last frame of every open activation of its thread, the running one first."""
        found = [index]
        while (caller := self.callers[found[-1]]) != NOWHERE:
            found.append(caller)
        return found

    def state(self, index: int) -> dict[str, Slot]:
        """The variables of a frame's activation at that frame; of a RETURN or EXCEPTION the last shown."""
        found = {}
        for name, changes in self._changes.get(self.frames[index].activation, {}).items():
            at = bisect_right(changes, index, key=_index_of)
            slot = changes[at - 1][1] if at else None
            if slot is not None:
                found[name] = slot
        return found

    def view(self, index: int) -> State:
        """`state` for those who look at few of its variables."""
        return _View(self, index)

    def value(self, index: int, name: str) -> Slot | None:
        """One variable of `state`; None: it is not bound."""
        changes = self._changes.get(self.frames[index].activation, {}).get(name)
        at = bisect_right(changes, index, key=_index_of) if changes else 0
        return changes[at - 1][1] if changes and at else None

    def history(self, index: int, name: str) -> list[tuple[int, Slot | None]]:
        """Every value that a variable of this frame's activation is known to have, and since which frame.

        None: it was unbound. Those after `index` are in it as far as they are known.
        """
        return list(self._changes.get(self.frames[index].activation, {}).get(name, ()))

    def written_by(self, index: int) -> int:
        """The frame whose line led to what `index` shows: the one before in its activation, or its caller."""
        before = self.before_in(index)
        return self.callers[index] if before is None else before

    def left_at(self, index: int) -> int | None:
        """The first frame of the same thread below this activation, which showed no RETURN of its own."""
        frame = self.frames[index]
        if any(self.frames[at].activation == frame.activation for at in self._stacks[frame.thread]):
            return None
        for at in range(index + 1, len(self.frames)):
            other = self.frames[at]
            if other.thread == frame.thread and other.depth < frame.depth:
                return at
        return None

    # --- the next one of a kind, among known frames ---

    def after_in(self, index: int, start: int | None = None) -> int | None:
        """The next frame of the same activation; behind `start`, if that is given."""
        return next_in(self._of[self.frames[index].activation], index if start is None else start)

    def before_in(self, index: int) -> int | None:
        """The frame before in the same activation."""
        return last_in(self._of[self.frames[index].activation], index)

    def frames_of(self, index: int) -> list[int]:
        """Every known frame of the same activation."""
        return self._of[self.frames[index].activation]

    def next_of(self, index: int, event: Event) -> int | None:
        """The next frame of this event in the same activation."""
        return next_in(self._ends.get((self.frames[index].activation, event), []), index)

    def previous_of(self, index: int, event: Event) -> int | None:
        """The frame of this event before in the same activation."""
        return last_in(self._ends.get((self.frames[index].activation, event), []), index)


class _View(Mapping[str, Slot]):
    """The variables of a frame, each looked up when it is asked for."""

    def __init__(self, timeline: Timeline, index: int) -> None:
        self._timeline, self._index = timeline, index

    def __getitem__(self, name: str) -> Slot:
        slot = self._timeline.value(self._index, name)
        if slot is None:
            raise KeyError(name)
        return slot

    def __iter__(self) -> Iterator[str]:
        return iter(self._timeline.state(self._index))

    def __len__(self) -> int:
        return len(self._timeline.state(self._index))


def _index_of(change: tuple[int, Slot | None]) -> int:
    return change[0]


def next_in(indices: list[int], index: int) -> int | None:
    """The first of ascending indices behind `index`."""
    at = bisect_right(indices, index)
    return indices[at] if at < len(indices) else None


def last_in(indices: list[int], index: int) -> int | None:
    """The last of ascending indices before `index`."""
    at = bisect_left(indices, index)
    return indices[at - 1] if at else None

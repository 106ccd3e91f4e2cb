"""An execution with a position in it: what an editor shows as a thread."""

from __future__ import annotations

from dataclasses import dataclass, field

from cwm_trace.debug.predicted import Edit, PredictedTimeline
from cwm_trace.debug.timeline import Timeline
from cwm_trace.records import Frame, Slot


@dataclass(eq=False)
class Track:
    """One execution that is stepped through.

    Args:
        number: by which editors refer to it, from 1.
        name: `real`, `predicted`, or that of a fork.
        timeline: its frames.
        truth: what really happens where this predicts; None: this is the truth, or nobody knows.
        edits: values that were written on the way to it, this fork's own last.
        origin: the track that it was forked from.
        position: index of the frame at which it stands.
        undone: positions before, the last one last.
    """

    number: int
    name: str
    timeline: Timeline
    truth: Track | None = None
    edits: tuple[Edit, ...] = ()
    origin: str = ""
    position: int = 0
    undone: list[int] = field(default_factory=list)
    selected: int = 0
    """How many callers up the frame is that is looked at."""

    @property
    def edit(self) -> Edit | None:
        """What was written last; None: nothing was."""
        return self.edits[-1] if self.edits else None

    @property
    def is_predicted(self) -> bool:
        """Whether a predictor says what happens here."""
        return isinstance(self.timeline, PredictedTimeline)

    @property
    def frame(self) -> Frame:
        """Where it stands."""
        return self.timeline.frames[self.position]

    @property
    def looked_at(self) -> int:
        """Index of the frame that is looked at: where it stands, or a caller of that."""
        stack = self.timeline.stack(self.position)
        return stack[min(self.selected, len(stack) - 1)]

    def state(self) -> dict[str, Slot]:
        """Variables of the frame that is looked at."""
        return self.timeline.state(self.looked_at)

    def move(self, index: int) -> None:
        """Go to a frame."""
        if index != self.position:
            self.undone.append(self.position)
        self.position, self.selected = index, 0

    def undo(self) -> bool:
        """Go back to where the last move began."""
        if not self.undone:
            return False
        self.position, self.selected = self.undone.pop(), 0
        return True

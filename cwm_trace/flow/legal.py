"""What may come next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cwm_trace.records import Event

Line = tuple[int, int]
"""A file, and a line of it; line 0: an instruction without one, the call of a module."""

EVENTS = frozenset((Event.CALL, Event.LINE, Event.RETURN, Event.EXCEPTION))


@dataclass(frozen=True, slots=True)
class Legal:
    """What Python can do next. None stands for "anything" throughout.

    Args:
        events: events of the next frame; END where nothing may follow.
        lines: the lines of each of them.
        new: names that a LINE may show for the first time.
        gone: bound names that a LINE may no longer show.
        unchanged: variables that a LINE shows with the value they had.
        called: names that a CALL may show.
    """

    events: frozenset[Event]
    lines: Mapping[Event, frozenset[Line] | None] = field(default_factory=dict)
    new: frozenset[str] | None = None
    gone: frozenset[str] | None = None
    unchanged: frozenset[str] = frozenset()
    called: frozenset[str] | None = None

    def allows(self, event: Event, file: int, line: int) -> bool:
        """Whether a frame of this event and line may come next."""
        if event not in self.events:
            return False
        lines = self.lines.get(event)
        return lines is None or (file, line) in lines


ANYTHING = Legal(EVENTS | {Event.END})
"""What is legal where nothing is known."""

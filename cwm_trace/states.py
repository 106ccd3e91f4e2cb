"""Between changed slots, as they are stored, and whole states, as they are compared and rendered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Slot, State, Trace

Changes = Mapping[str, Slot | None]


def diff_states(before: State, after: State) -> dict[str, Slot | None]:
    """The changed slots that turn `before` into `after`; None for a name that is no longer bound.

    >>> diff_states({"a": Slot("1"), "b": Slot("2")}, {"a": Slot("1"), "c": Slot("3")})
    {'c': Slot(text='3', type='', size=None, clipped=0), 'b': None}
    """
    changed: dict[str, Slot | None] = {name: slot for name, slot in after.items() if before.get(name) != slot}
    changed.update((name, None) for name in before if name not in after)
    return changed


class Activations:
    """The last state of every activation, advanced one frame at a time.

    A name keeps the place of its first binding even while it is unbound, so that states list their
    variables in one order on every Python version.
    """

    def __init__(self) -> None:
        self._slots: dict[int, dict[str, Slot | None]] = {}

    def advance(self, frame: Frame) -> dict[str, Slot]:
        """Apply `frame` and return the state of its activation: the one before its line runs."""
        slots = self._slots[frame.activation] = {**self._slots.get(frame.activation, {}), **frame.changed}
        return {name: slot for name, slot in slots.items() if slot is not None}

    def apply(self, frame: Frame) -> None:
        """Apply `frame`, whose state nobody needs."""
        if frame.changed or frame.activation not in self._slots:
            self._slots[frame.activation] = {**self._slots.get(frame.activation, {}), **frame.changed}

    def change(self, activation: int, state: State) -> dict[str, Slot | None]:
        """What turns the last state of `activation` into `state`, which becomes the last one."""
        changed = diff_states(self.state(activation), state)
        self._slots[activation] = {**self._slots.get(activation, {}), **changed}
        return changed

    def state(self, activation: int) -> dict[str, Slot]:
        """The last state of `activation`; empty if it has not been seen."""
        slots = self._slots.get(activation, {})
        return {name: slot for name, slot in slots.items() if slot is not None}

    def names(self, activation: int) -> list[str]:
        """The names of `activation` in their order, those that are unbound included."""
        return list(self._slots.get(activation, ()))

    def after(self, frame: Frame) -> dict[str, Slot]:
        """The state that `advance` would return."""
        slots = {**self._slots.get(frame.activation, {}), **frame.changed}
        return {name: slot for name, slot in slots.items() if slot is not None}

    def fork(self) -> Activations:
        """A copy that is advanced by itself."""
        other = Activations()
        other._slots = dict(self._slots)  # what it holds is replaced, never changed
        return other

    def __len__(self) -> int:
        """Activations seen: the number of the next one."""
        return len(self._slots)


def resolve_states(frames: Iterable[Frame]) -> list[dict[str, Slot] | None]:
    """The whole state at every frame; None for RETURN and EXCEPTION, which show none."""
    activations = Activations()
    return [
        activations.advance(frame) if frame.event in (Event.CALL, Event.LINE) else None for frame in frames
    ]


def states_between(
    frames: Sequence[Frame], first: int, last: int | None = None
) -> dict[int, dict[str, Slot] | None]:
    """`resolve_states` for frames `first` to `last` only, by index."""
    first, last, _ = slice(first, last).indices(len(frames))
    activations = Activations()
    found: dict[int, dict[str, Slot] | None] = {}
    for index in range(last):
        frame = frames[index]
        state = None
        if frame.event in (Event.CALL, Event.LINE):
            if index >= first:
                state = activations.advance(frame)
            else:
                activations.apply(frame)
        if index >= first:
            found[index] = state
    return found


def edit_state(trace: Trace, changes: Mapping[str, str | None]) -> Trace:
    """The trace with other variables in its last frame: the beginning of a "what if".

    Args:
        trace: ends in a CALL or LINE.
        changes: new text of a variable; None: not bound.

    Raises:
        CwmTraceError: the last frame shows no state.
    """
    last = trace.frames[-1] if trace.frames else None
    if last is None or last.event not in (Event.CALL, Event.LINE):
        raise CwmTraceError("only a CALL or LINE has variables to edit: cut the trace after one")
    edits = {name: None if text is None else Slot(text) for name, text in changes.items()}
    edited = replace(last, changed={**last.changed, **edits}, raw=None)
    return replace(trace, frames=(*trace.frames[:-1], edited))

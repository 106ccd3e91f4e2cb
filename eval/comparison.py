"""A predicted trace against the real one, frame by frame in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.equality import Equality, slots_equal
from cwm_trace.eval.metrics import Rate, Retrieval
from cwm_trace.records import Event, Frame, Slot, State, Trace
from cwm_trace.states import Activations, diff_states
from cwm_trace.wire.profile import CWM, PROFILES, FormatProfile
from cwm_trace.wire.render import FrameRenderer

Changes = Mapping[str, Slot | None]
_STATEFUL = (Event.CALL, Event.LINE)


@dataclass(frozen=True, slots=True)
class Pair:
    """The real and the predicted frame at one position; one of them may be missing.

    Args:
        index: position in both traces.
        given: the prediction was handed this frame; it counts nowhere.
        real, predicted: the frames.
        real_state, predicted_state: their whole states; None where the event has none.
        real_changes, predicted_changes: what changed against the last state of the same activation: the
            true one under forcing, else each trace's own.
        exact: event, source, state and value are equal.
        control: event and line are equal.
        state: the states are equal; None if the real frame has none.
    """

    index: int
    given: bool
    real: Frame | None
    predicted: Frame | None
    real_state: State | None
    predicted_state: State | None
    real_changes: Changes
    predicted_changes: Changes
    exact: bool
    control: bool
    state: bool | None


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first wrong thing.

    Args:
        index: position of the frame.
        cause: `event`, `line`, `state`, `value`, `early end`, `overrun`; or `format`, the same state in other
            characters, which only `exact` tells apart.
        name: the variable, for `state`.
        real, predicted: what it is and what was said, as text; None: nothing.
    """

    index: int
    cause: str
    name: str | None
    real: str | None
    predicted: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How well a prediction matches.

    Args:
        real, predicted: the traces.
        equality: how values were compared.
        pairs: the frames by position.
        frame_exact: real frames that were predicted exactly; missing ones are wrong.
        surplus: predicted frames beyond the real end.
        state_exact: real states that were predicted exactly, key set included.
        changed_slots: (variable, value) pairs that changed, a deletion included.
        output: whether the entry's value is right; None if the real one did not return or was given.
        first_divergence: where the two part; None if they never do.
    """

    real: Trace
    predicted: Trace
    equality: Equality
    pairs: tuple[Pair, ...]
    frame_exact: Rate
    surplus: int
    state_exact: Rate
    changed_slots: Retrieval
    output: bool | None
    first_divergence: Divergence | None

    def _repr_html_(self) -> str:
        """Both executions side by side, for notebooks."""
        from cwm_trace.rendering.html import comparison_html

        return comparison_html(self)


def compare(real: Trace, predicted: Trace, equality: Equality = Equality.NORMAL) -> Comparison:
    """Compare by position: frame i with frame i.

    Raises:
        CwmTraceError: the traces are of different programs.
    """
    if real.files[:1] and predicted.files[:1] and real.files[0].text != predicted.files[0].text:
        raise CwmTraceError("the two traces are of different programs: there is nothing to compare")
    pairs = tuple(_pairs(real, predicted, equality))
    scored = [pair for pair in pairs if not pair.given]
    states = [pair.state for pair in scored if pair.real is not None and pair.state is not None]
    return Comparison(
        real=real,
        predicted=predicted,
        equality=equality,
        pairs=pairs,
        frame_exact=Rate(sum(pair.exact for pair in scored), sum(pair.real is not None for pair in scored)),
        surplus=sum(pair.real is None for pair in scored),
        state_exact=Rate(sum(states), len(states)),
        changed_slots=_changed_slots(scored, equality),
        output=_output(real, predicted, equality),
        first_divergence=next((_divergence(pair, equality) for pair in scored if not pair.exact), None),
    )


def _pairs(real: Trace, predicted: Trace, equality: Equality) -> list[Pair]:
    profile = PROFILES.get(real.profile, CWM)  # only its `addresses` could make a difference here
    forced = _is_forced(predicted)
    left, right = _Side(real, profile), _Side(predicted, profile)
    pairs = []
    for index, (a, b) in enumerate(zip_longest(real.frames, predicted.frames)):
        true_last = left.last(a)
        last = true_last if forced else right.last(b)
        real_state, real_texts = left.advance(a)
        state, texts = right.advance(b)
        same = None
        if real_state is not None:
            same = state is not None and _states_equal(real_state, state, equality)
        exact = a is not None and b is not None and a.event is b.event and a.source == b.source
        if equality is Equality.EXACT and (not forced or b is None or b.raw is not None):
            exact = exact and real_texts == texts
        else:  # under forcing each frame follows the truth: `..` cannot be told from the last prediction
            exact = exact and same is not False and _values_equal(a, b, equality)
            if equality is Equality.EXACT:
                exact = exact and [*(real_state or ())] == [*(state or ())]
        pairs.append(
            Pair(
                index=index,
                given=index < predicted.given,
                real=a,
                predicted=b,
                real_state=real_state,
                predicted_state=state,
                real_changes=_changes(true_last, real_state, equality),
                predicted_changes=_changes(last, state, equality),
                exact=exact,
                control=a is not None and b is not None and (a.event, a.line) == (b.event, b.line),
                state=same,
            )
        )
    return pairs


class _Side:
    """One of the two traces, advanced frame by frame."""

    def __init__(self, trace: Trace, profile: FormatProfile) -> None:
        self._states = Activations()
        self._renderer = FrameRenderer(trace, profile)

    def last(self, frame: Frame | None) -> State:
        """The last state of that frame's activation."""
        return {} if frame is None else self._states.state(frame.activation)

    def advance(self, frame: Frame | None) -> tuple[State | None, tuple[str, str] | None]:
        """The state and the texts of the next frame."""
        if frame is None or frame.event is Event.END:
            return None, None
        texts = frame.raw or self._renderer.texts(frame)
        return (self._states.advance(frame) if frame.event in _STATEFUL else None), texts


def _is_forced(predicted: Trace) -> bool:
    return predicted.mode.startswith("forced")


def _changes(last: State, state: State | None, equality: Equality) -> Changes:
    """What changed; told by the texts, since a prediction has no types."""
    if state is None:
        return {}
    return {
        name: slot
        for name, slot in diff_states(last, state).items()
        if slot is None or not slots_equal(last.get(name), slot, equality)
    }


def _output(real: Trace, predicted: Trace, equality: Equality) -> bool | None:
    """Whether the entry's value is right; None if there is none or it was given."""
    index = next((i for i in reversed(range(len(real.frames))) if _ends_entry(real.frames[i])), -1)
    if real.value is None or index < predicted.given:
        return None
    value = predicted.value
    if _is_forced(predicted):  # the prediction of that very frame
        frame = predicted.frames[index] if index < len(predicted.frames) else None
        value = frame.value if frame is not None and _ends_entry(frame) else None
    return value is not None and slots_equal(real.value, value, equality)


def _ends_entry(frame: Frame) -> bool:
    return frame.depth == 0 and frame.event is Event.RETURN


def _states_equal(real: State, predicted: State, equality: Equality) -> bool:
    return real.keys() == predicted.keys() and all(
        slots_equal(slot, predicted[name], equality) for name, slot in real.items()
    )


def _values_equal(real: Frame | None, predicted: Frame | None, equality: Equality) -> bool:
    if real is None or predicted is None:
        return False
    nothing = Slot("None", "NoneType")
    return slots_equal(real.value or nothing, predicted.value or nothing, equality)


def _changed_slots(pairs: list[Pair], equality: Equality) -> Retrieval:
    hits = real = predicted = 0
    for pair in pairs:
        real += len(pair.real_changes)
        predicted += len(pair.predicted_changes)
        hits += sum(
            name in pair.predicted_changes and slots_equal(slot, pair.predicted_changes[name], equality)
            for name, slot in pair.real_changes.items()
        )
    return Retrieval(hits, predicted - hits, real - hits)


def _divergence(pair: Pair, equality: Equality) -> Divergence:
    real, predicted = pair.real, pair.predicted
    if real is None or predicted is None or predicted.event is Event.END:
        cause = "overrun" if real is None else "early end"
        return Divergence(pair.index, cause, None, _brief(real), _brief(predicted))
    if real.event is not predicted.event:
        return Divergence(pair.index, "event", None, _brief(real), _brief(predicted))
    if real.source != predicted.source:
        return Divergence(pair.index, "line", None, _brief(real), _brief(predicted))
    if pair.real_state is not None and pair.predicted_state is not None:
        for name in [*pair.real_state, *pair.predicted_state]:
            a, b = pair.real_state.get(name), pair.predicted_state.get(name)
            if not slots_equal(a, b, equality):
                return Divergence(pair.index, "state", name, _text(a), _text(b))
        return Divergence(pair.index, "format", None, None, None)
    return Divergence(pair.index, "value", None, _text(real.value), _text(predicted.value))


def _text(slot: Slot | None) -> str | None:
    return None if slot is None else slot.text


def _brief(frame: Frame | None) -> str | None:
    if frame is None or frame.event is Event.END:
        return None
    return f"{frame.event.value}: {frame.source.strip()}"

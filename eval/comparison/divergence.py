"""Where a prediction goes wrong first, and why."""

from __future__ import annotations

from dataclasses import dataclass

from cwm_trace.eval.comparison.alignment import Alignment, Pair
from cwm_trace.eval.comparison.value_classes import state_at, value_kind
from cwm_trace.records import Event, Frame, Slot

_CAUSES = (
    "format",
    "event",
    "line",
    "missing key",
    "extra key",
    "stale",
    "wrong value",
    "return",
    "exception",
    "early end",
    "overrun",
)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first wrong thing.

    Args:
        index: position of the frame, among those that the mode speaks about.
        cause: one of `_CAUSES`, the first that applies in the order of the fields on the wire: a frame after
            the end (`overrun`), none where one follows (`early end`), a frame that cannot be read
            (`format`), another `event`, another `line`, then variable by variable in the real order one that
            is not there (`missing key`), should not be there (`extra key`), has kept its old value although
            it changed (`stale`) or has a `wrong value`; the value of a `return` or an `exception`. `format`
            as well for the same state in other characters, which only `exact` tells apart.
        name: the variable, where it is one.
        real, predicted: what it is and what was said, as text; None: nothing.
        type: class of the real value's runtime type (`value_kind`), where there is a real value.
    """

    index: int
    cause: str
    name: str | None
    real: str | None
    predicted: str | None
    type: str | None = None


def find_divergence(alignment: Alignment) -> Divergence | None:
    """The first pair that counts and is not exactly right.

    None if there is none: if the prediction is right, or right until a budget ended it.
    """
    for pair in alignment.pairs:
        if pair.scored and not pair.exact:
            if pair.predicted is None and alignment.was_cut:
                return None
            return _explain(pair, alignment)
    return None


def _explain(pair: Pair, alignment: Alignment) -> Divergence:
    real, predicted, index = pair.real, pair.predicted, pair.index
    if real is None:
        return Divergence(index, "overrun", None, None, _brief(predicted))
    if predicted is None or predicted.event is Event.END:
        return Divergence(index, "early end", None, _brief(real), None)
    if index in alignment.faults:
        return Divergence(index, "format", None, _brief(real), _brief(predicted))
    if not pair.source:
        cause = "line" if pair.event else "event"
        return Divergence(index, cause, None, _brief(real), _brief(predicted))
    if real.event in (Event.CALL, Event.LINE):
        return _explain_state(pair, alignment)
    cause = "return" if real.event is Event.RETURN else "exception"
    kind = value_kind(real.value)
    return Divergence(index, cause, None, _text(real.value), _text(predicted.value), kind)


def _explain_state(pair: Pair, alignment: Alignment) -> Divergence:
    real = state_at(alignment.real.frames, pair.index)
    predicted = state_at(alignment.predicted.frames, pair.index)
    for name in [*real, *predicted]:
        if name not in pair.wrong:
            continue
        if name not in real:
            return Divergence(pair.index, "extra key", name, None, predicted[name].text)
        if name not in predicted:
            cause = "missing key"
        elif name in pair.real_changes and name not in pair.predicted_changes:
            cause = "stale"
        else:
            cause = "wrong value"
        kind = value_kind(real[name])
        return Divergence(pair.index, cause, name, real[name].text, _text(predicted.get(name)), kind)
    return Divergence(pair.index, "format", None, None, None)


def _text(slot: Slot | None) -> str | None:
    return None if slot is None else slot.text


def _brief(frame: Frame | None) -> str | None:
    if frame is None or frame.event is Event.END:
        return None
    return f"{frame.event.value}: {frame.source.strip()}"

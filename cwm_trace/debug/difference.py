"""Where a prediction and the truth differ: frames side by side, their variables by equality of values."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from weakref import WeakKeyDictionary

from cwm_trace.debug import travel
from cwm_trace.debug.predicted import PredictedTimeline
from cwm_trace.debug.timeline import Timeline
from cwm_trace.eval.comparison.equality import Equality, slots_equal
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Event, Frame, Slot

_compared: WeakKeyDictionary[Timeline, tuple[Timeline, int, int | None]] = WeakKeyDictionary()
"""Of each prediction its truth, how many frames were compared, and the first that differs."""

_others: WeakKeyDictionary[Timeline, tuple[int, list[int]]] = WeakKeyDictionary()
"""Of each timeline how many frames were looked at, and those of other threads."""


def first_difference(predicted: Timeline, real: Timeline) -> int | None:
    """The first frame that differs, among the known ones of the prediction.

    A prediction that ended while the truth goes on differs in its last frame.
    """
    known, compared, found = _compared.get(predicted, (real, 0, None))
    if known is not real:
        compared, found = 0, None
    while found is None and compared < len(predicted):
        if not _shows_the_same(predicted, real, compared) and wrong_parts(predicted, real, compared):
            found = compared
        compared += 1
    _compared[predicted] = (real, compared, found)
    if found is None and predicted.ended:
        last = aligned(predicted, real, len(predicted) - 1)
        if last is not None and _next_own(real, last) is not None:
            return len(predicted) - 1
    return found


def _shows_the_same(predicted: Timeline, real: Timeline, index: int) -> bool:
    """Whether two frames are equal, if all those before them are: a quick look that need not find out."""
    if (isinstance(predicted, PredictedTimeline) and predicted.leaps) or not real.reach(index):
        return False
    ours, true = predicted.frames[index], real.frames[index]
    return ours is true or texts_of(ours) == texts_of(true)


def texts_of(frame: Frame, without: Collection[str] = ()) -> tuple[object, ...]:
    """What a frame shows, but for types and for the variables in `without`."""
    changed = {name: slot and slot.text for name, slot in frame.changed.items() if name not in without}
    value = frame.value and frame.value.text
    return frame.event, frame.file, frame.line, frame.activation, changed, value


def aligned(predicted: Timeline, real: Timeline, index: int) -> int | None:
    """The real frame beside a predicted one; None: there is none.

    It has the same index, but where the prediction leapt over calls the truth passes them over too. Frames of
    other threads, which a model is not shown, are passed over as well.
    """
    leaps = predicted.leaps if isinstance(predicted, PredictedTimeline) else {}
    first = min(leaps, default=index + 1) - 1
    if first >= index:
        return _beside(predicted, real, index)
    at = _beside(predicted, real, first)
    for place in range(first + 1, index + 1):
        if at is None or not real.reach(at):
            return None
        leap = leaps.get(place)
        if leap is None:
            at = _next_own(real, at)
            continue
        find = travel.next_return if leap.action == "step_return" else travel.next_over
        start, at = at, None
        while at is None:
            at = find(real, start)
            if at is None and not real.grow():
                return None
    return at if at is not None and real.reach(at) else None


def _beside(predicted: Timeline, real: Timeline, index: int) -> int | None:
    """The real frame that is as far along its own thread as a predicted one."""
    if predicted.frames[index].thread:
        return index if real.reach(index) else None
    own = index - bisect_left(_frames_of_others(predicted), index)
    at = own
    while real.reach(at):
        place = own + bisect_right(_frames_of_others(real), at)
        if place == at:
            return at
        at = place
    return None


def _next_own(real: Timeline, index: int) -> int | None:
    """The next frame of the first thread; None: there is none."""
    index += 1
    while real.reach(index):
        if not real.frames[index].thread:
            return index
        index += 1
    return None


def _frames_of_others(timeline: Timeline) -> list[int]:
    """Indices of the known frames of other threads than the first."""
    seen, others = _others.get(timeline, (0, []))
    if seen < len(timeline):
        others += [at for at in range(seen, len(timeline)) if timeline.frames[at].thread]
        _others[timeline] = (len(timeline), others)
    return others


def wrong_parts(predicted: Timeline, real: Timeline, index: int) -> list[str]:
    """What is wrong in a predicted frame: `event`, `line`, `value`, or names of variables; empty: nothing.

    A frame beyond the real end is wrong in its `event`; beyond a recording that was cut nothing is.
    """
    at = aligned(predicted, real, index)
    if at is None:
        return ["event"] if real.outcome in ENDED else []
    ours, true = predicted.frames[index], real.frames[at]
    wrong = []
    if ours.event is not true.event:
        wrong.append("event")
    if (ours.file, ours.line) != (true.file, true.line):
        wrong.append("line")
    if wrong:
        return wrong
    if true.event in (Event.RETURN, Event.EXCEPTION):
        return [] if slots_equal(true.value, ours.value, Equality.NORMAL) else ["value"]
    return list(different_variables(predicted, real, index))


def different_variables(
    predicted: Timeline, real: Timeline, index: int
) -> dict[str, tuple[Slot | None, Slot | None]]:
    """Variables that differ in a frame, with the real and the predicted value."""
    at = aligned(predicted, real, index)
    if at is None:
        return {}
    ours, true = predicted.state(index), real.state(at)
    return {
        name: (true.get(name), ours.get(name))
        for name in [*true, *(name for name in ours if name not in true)]
        if not slots_equal(true.get(name), ours.get(name), Equality.NORMAL)
    }

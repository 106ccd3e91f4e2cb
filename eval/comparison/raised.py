"""How well exceptions are predicted: that one is raised, where, of what type, saying what, handled where."""

from __future__ import annotations

from collections.abc import Iterable

from cwm_trace.eval.comparison.alignment import Alignment, Pair
from cwm_trace.eval.comparison.metrics import Retrieval
from cwm_trace.eval.comparison.value_classes import exception_type
from cwm_trace.records import Event, Frame

PARTS = ("event", "line", "type", "message", "handler")


def score_exceptions(alignment: Alignment, raised: Iterable[Pair]) -> dict[str, Retrieval]:
    """Hits, inventions and misses over the pairs with an EXCEPTION on either side.

    `event`: an EXCEPTION where there is one; `line`: on its line as well; `type`: of its type; `message`: of
    its type with its message, as the value shows it. `handler`: of the exceptions that the activation itself
    handles (the next frame is a LINE of it), those with an EXCEPTION and then a LINE on that line. Nothing
    for a part that the mode gives or nobody raises.
    """
    pairs = alignment.pairs
    counts = {part: [0, 0, 0] for part in PARTS}  # hits, predicted, real
    for pair in raised:
        real = pair.real is not None and pair.real.event is Event.EXCEPTION
        predicted = pair.predicted is not None and pair.predicted.event is Event.EXCEPTION
        for part in PARTS[:4]:
            counts[part][1] += predicted
            counts[part][2] += real
        if real and predicted:
            for part, right in zip(PARTS, _parts(pair), strict=False):
                counts[part][0] += right
        after = pairs[pair.index + 1] if pair.index + 1 < len(pairs) else None
        true_line = _handler(pair.real, after.real) if real and after is not None and after.scored else None
        line = _handler(pair.predicted, after.predicted) if predicted and after is not None else None
        counts["handler"][1] += line is not None
        counts["handler"][2] += true_line is not None
        counts["handler"][0] += line is not None and line == true_line
    if alignment.mode.gives_event:
        del counts["event"]
    return {
        part: Retrieval(hits, predicted - hits, real - hits)
        for part, (hits, predicted, real) in counts.items()
        if predicted or real
    }


def _parts(pair: Pair) -> tuple[bool, bool, bool, bool]:
    real, predicted = pair.real, pair.predicted
    assert real is not None
    assert predicted is not None
    is_type = _type(real) == _type(predicted)
    says = pair.value is True or (predicted.message is not None and predicted.message == real.message)
    return True, pair.control, is_type, is_type and says


def _type(frame: Frame) -> str:
    if frame.value is None:
        return ""
    return frame.value.type.rpartition(".")[2] or exception_type(frame.value.text)


def _handler(frame: Frame | None, after: Frame | None) -> int | None:
    if frame is None or after is None or after.event is not Event.LINE:
        return None
    return after.line if after.activation == frame.activation else None

"""What a mode asks for: segments of frames, each predicted from the frames that are known before it.

A mode that has its own history is one segment, from the known frames to the end. One that goes back to the
truth has a segment for every place where it does: a forced mode for each frame, `reground-K` for every K, and
`forced` one more behind the last frame, where nothing is to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cwm_trace.predict.known_frames import NOTHING, Known
from cwm_trace.predict.modes import Mode, ModeKind, parse_mode
from cwm_trace.predict.protocol import ENDED, Request, require_truth
from cwm_trace.records import Frame, Trace
from cwm_trace.states import Activations
from cwm_trace.wire.render import STATEFUL


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames that are predicted one after the other.

    Args:
        start: true or known frames before it.
        places: indices of the true frames that it predicts; none: it goes on by itself, or predicts the end.
        limit: frames after which it stops.
        known: what is told of its first frame, where that is not the mode's to say.
    """

    start: int
    places: tuple[int, ...]
    limit: int
    known: Known = NOTHING


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, and the segments that its mode makes of it.

    Args:
        request: what is to be predicted.
        mode: its mode.
        frames: the true frames, or the known ones where the mode needs no truth.
        segments: in their order; none overlaps another.
        hidden: indices of true frames that this predictor cannot be shown.
    """

    request: Request
    mode: Mode
    frames: Sequence[Frame]
    segments: tuple[Segment, ...]
    hidden: frozenset[int] = frozenset()

    @property
    def follows(self) -> bool:
        """Whether it goes back to the truth."""
        return self.mode.needs_truth

    @property
    def draft(self) -> Trace | None:
        """The real trace, where a prediction with its own history may be what it says."""
        truth = self.request.truth
        if self.mode.kind is not ModeKind.FREE or truth is None or self.segments[0].known is not NOTHING:
            return None
        return truth if len(truth.frames) > len(self.request.history.frames) else None


def make_plan(request: Request, known: Known = NOTHING, shown: Sequence[int] | None = None) -> Plan:
    """The plan of a request.

    Args:
        request: what is to be predicted.
        known: what is told of the first frame, where the mode needs no truth.
        shown: indices of the true frames that the predictor can be shown; None: all.

    Raises:
        CwmTraceError: there is no such mode, or it needs the truth and has none.
    """
    mode = parse_mode(request.mode)
    given = len(request.history.frames)
    if request.truth is not None:
        require_truth(request, "")
    if not mode.needs_truth:
        segment = Segment(given, (), request.max_frames, known)
        return Plan(request, mode, request.history.frames, (segment,))
    truth = require_truth(request, f"mode '{mode}'")
    places = range(given, len(truth.frames)) if shown is None else [at for at in shown if at >= given]
    size = 1 if mode.is_forced else mode.number
    segments = [
        Segment(group[0], group, len(group))
        for group in (tuple(places[at : at + size]) for at in range(0, len(places), size))
    ]
    if mode.kind is ModeKind.FORCED and truth.outcome in ENDED:
        segments.append(Segment(len(truth.frames), (), 1))
    hidden = frozenset(range(given, len(truth.frames))).difference(places)
    return Plan(request, mode, truth.frames, tuple(segments), hidden)


def told(mode: Mode, real: Frame, states: Activations) -> Known:
    """What a forced mode tells of a true frame, given the states before it."""
    if not mode.gives_event:
        return NOTHING
    return Known(real.event, states.after(real) if mode.gives_state and real.event in STATEFUL else None)

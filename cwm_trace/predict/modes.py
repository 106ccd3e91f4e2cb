"""What a predictor is given and what it must say: the modes of prediction, and the truth each speaks about.

==================  ========================================  =============================================
mode                given                                     predicted
==================  ========================================  =============================================
``free``            the history                               the rest of the trace
``forced``          before each frame the true ones           every frame, and the end
``forced-event``    the same, and the frame's event           state, then line and value
``forced-state``    the same, and the frame's state           line and value
``reground-K``      the true history after every K frames     the K frames that follow it, by themselves
``output``          the history and a forced return           what the entry returns
``step-over-D``     the history                               as ``free``; calls deeper than D return at once
==================  ========================================  =============================================

`reground-1` is `forced` without the end, and `step-over` alone is `step-over-1`: the entry has depth 0, so
the functions that it calls are followed and what they call is not.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Trace
from cwm_trace.states import Activations, resolve_states


class ModeKind(str, enum.Enum):
    """The modes without their numbers."""

    FREE = "free"
    FORCED = "forced"
    FORCED_EVENT = "forced-event"
    FORCED_STATE = "forced-state"
    REGROUND = "reground"
    OUTPUT = "output"
    STEP_OVER = "step-over"


_MODES = ("free", "forced", "forced-event", "forced-state", "reground-K", "output", "step-over")
ALL_MODES = ("free", "forced", "forced-event", "forced-state", "reground-8", "output", "step-over-1")
"""Every mode, those with a number with the one that reports use unless another is asked for."""

_NUMBERED = re.compile(r"(reground|step-over)-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode of prediction.

    Args:
        kind: which one.
        number: K of `reground-K`, in frames; D of `step-over-D`, a depth; 0 for the others.
    """

    kind: ModeKind
    number: int = 0

    @property
    def is_forced(self) -> bool:
        """Whether each frame is predicted from the true ones before it."""
        return self.kind in (ModeKind.FORCED, ModeKind.FORCED_EVENT, ModeKind.FORCED_STATE)

    @property
    def gives_event(self) -> bool:
        """Whether a predictor is told what kind of frame comes next."""
        return self.kind in (ModeKind.FORCED_EVENT, ModeKind.FORCED_STATE)

    @property
    def gives_state(self) -> bool:
        """Whether it is told the variables of that frame too."""
        return self.kind is ModeKind.FORCED_STATE

    @property
    def needs_truth(self) -> bool:
        """Whether the real trace must be at hand to predict."""
        return self.is_forced or self.kind is ModeKind.REGROUND

    def __str__(self) -> str:
        return f"{self.kind.value}-{self.number}" if self.number or self == _OVER_ALL else self.kind.value


_OVER_ALL = Mode(ModeKind.STEP_OVER, 0)


def parse_mode(text: str) -> Mode:
    """The mode called `text`.

    Raises:
        CwmTraceError: there is none.

    >>> parse_mode("reground-8").number
    8
    >>> str(parse_mode("step-over"))
    'step-over-1'
    """
    numbered = _NUMBERED.fullmatch(text)
    if numbered:
        mode = Mode(ModeKind(numbered.group(1)), int(numbered.group(2)))
        if mode.kind is ModeKind.STEP_OVER or mode.number:
            return mode
    elif text == ModeKind.STEP_OVER.value:
        return Mode(ModeKind.STEP_OVER, 1)
    elif text in _MODES and text != "reground-K":
        return Mode(ModeKind(text))
    raise CwmTraceError(f"there is no mode {text!r}: choose one of {', '.join(_MODES)}, such as reground-8")


def visible_indices(trace: Trace, mode: Mode) -> list[int]:
    """The frames of a real or predicted trace that a mode speaks about: what is compared.

    For `output` the given frames and the entry's own RETURN; for `step-over-D` the frames of depth D at most;
    of both and of `free` no frames of other threads, which a model is not shown; else everything.
    """
    frames = trace.frames
    if mode.needs_truth:
        return list(range(len(frames)))
    match mode.kind:
        case ModeKind.OUTPUT:
            given = max(trace.guess.given, 1)
            last = trace.entry_return
            shown = [*range(min(given, len(frames)))]
            shown += [last] if last is not None and last >= given else []
        case ModeKind.STEP_OVER:
            shown = [i for i, frame in enumerate(frames) if frame.depth <= mode.number]
        case _:
            shown = [*range(len(frames))]
    return [i for i in shown if not frames[i].thread]


def keep_frames(trace: Trace, kept: Sequence[int]) -> Trace:
    """The trace with these frames only; their changes are those against the last one that is left."""
    if len(kept) == len(trace.frames):
        return trace
    states = resolve_states(trace.frames)
    chain = Activations()
    frames = []
    for index in kept:
        frame, state = trace.frames[index], states[index]
        frames.append(
            frame if state is None else replace(frame, changed=chain.change(frame.activation, state))
        )
    return replace(
        trace,
        frames=tuple(frames),
        guess=replace(trace.guess, given=sum(index < trace.guess.given for index in kept)),
    )

"""Whether a prediction ends where the execution does, and what its budget had to do with it."""

from __future__ import annotations

from dataclasses import dataclass

from cwm_trace.eval.comparison.alignment import Alignment
from cwm_trace.eval.comparison.counts import Counts
from cwm_trace.predict.modes import ModeKind
from cwm_trace.records import Event, Outcome

WITH_END = (ModeKind.FREE, ModeKind.FORCED, ModeKind.STEP_OVER)
"""Modes that predict the end of the trace."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of the trace as an event.

    Args:
        halting: `right`; `early`: predicted before the real one; `late`: there are frames beyond that;
            `unknown`: the prediction was cut. None if the mode does not predict it, or there is none.
        counts: there is an end, and the prediction says whether it is there.
        right: it says so rightly.
        said: how often it says that the trace ends.
    """

    halting: str | None = None
    counts: bool = False
    right: bool = False
    said: int = 0


def find_ending(alignment: Alignment) -> Ending:
    """How the prediction's end and the real one compare.

    In mode `forced` every frame has an answer of its own, so that the end can be predicted early and then
    rightly; that is `early`.
    """
    if alignment.mode.kind not in WITH_END or not alignment.real_ended:
        return Ending()
    real, predicted = len(alignment.real.frames), len(alignment.predicted.frames)
    if alignment.mode.is_forced:
        frames = alignment.predicted.frames[alignment.predicted.guess.given :]
        early = sum(frame.event is Event.END for frame in frames)
        if predicted < real:
            return Ending("early" if early else "unknown", said=early)
        right = predicted == real
        halting = "early" if early else "right" if right else "late"
        return Ending(halting, True, right, early + right)
    if alignment.was_cut:
        return Ending("unknown", predicted > real)
    halting = "right" if predicted == real else "early" if predicted < real else "late"
    return Ending(halting, True, halting == "right", 1)


def is_path_exact(alignment: Alignment, counts: Counts, ending: Ending) -> bool | None:
    """Whether the whole control sequence is right, its end included where it is predicted; None: unknown."""
    if not counts.real:
        return None
    if counts.control < counts.real or ending.halting in ("early", "late"):
        return False
    if alignment.mode.kind is ModeKind.REGROUND or ending.halting == "right":
        return True
    return False if ending.counts else None


def is_trace_exact(alignment: Alignment, counts: Counts, ending: Ending) -> bool | None:
    """Mode `free`: whether everything is right and the trace ended at the right frame; None: unknown."""
    if alignment.mode.kind is not ModeKind.FREE or not counts.real:
        return None
    if counts.exact < counts.real or ending.halting in ("early", "late"):
        return False
    return True if ending.halting == "right" else False if ending.counts else None


def find_budget_loss(alignment: Alignment, counts: Counts, real_tokens: int | None) -> str | None:
    """Why a prediction was cut: the true trace is over the budget as well (`structural`), or not (`runaway`).

    Told by tokens if those of the true trace are known, else by frames: a prediction that was cut after fewer
    frames than the truth has.
    """
    predicted = alignment.predicted
    if predicted.outcome is not Outcome.TRUNCATED or alignment.mode.is_forced:
        return None
    if real_tokens is not None and predicted.guess.cost is not None:
        return "structural" if real_tokens > predicted.guess.cost.new_tokens else "runaway"
    return "structural" if counts.real > counts.said else "runaway"

"""A predicted trace against the real one, frame by frame in their order, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cwm_trace.display import Shown
from cwm_trace.eval.comparison.alignment import NO_MASK, Mask, Pair, align
from cwm_trace.eval.comparison.divergence import Divergence, find_divergence
from cwm_trace.eval.comparison.equality import Equality
from cwm_trace.eval.comparison.metrics import Rate, Retrieval
from cwm_trace.eval.comparison.score import ProgramScore, score_alignment
from cwm_trace.records import Trace


@dataclass(frozen=True, slots=True)
class Comparison(Shown):
    """How well a prediction matches.

    Args:
        real, predicted: the frames that the prediction's mode speaks about.
        equality: how values were compared.
        pairs: the frames by position.
        places: which frames of the whole real trace those of `real` are.
        score: every number.
        first_divergence: where the two part; None if they never do.
    """

    real: Trace
    predicted: Trace
    equality: Equality
    pairs: tuple[Pair, ...]
    places: Sequence[int]
    score: ProgramScore
    first_divergence: Divergence | None

    @property
    def frame_exact(self) -> Rate:
        """Real frames that were predicted exactly; missing ones are wrong."""
        return Rate(self.score.frames.true_positives, self.score.length)

    @property
    def surplus(self) -> int:
        """Predicted frames beyond the real end."""
        return sum(pair.scored and pair.real is None for pair in self.pairs)

    @property
    def state_exact(self) -> Rate:
        """Real states that were predicted exactly, key set included."""
        return self.score.states

    @property
    def changed_slots(self) -> Retrieval:
        """(variable, value) pairs that changed, a deletion included."""
        return self.score.changed_slots

    @property
    def output(self) -> bool | None:
        """Whether the entry's value is right; None if the real one did not return or was given."""
        return self.score.output


def compare(
    real: Trace, predicted: Trace, equality: Equality = Equality.NORMAL, masked: Mask = NO_MASK
) -> Comparison:
    """Compare by position: frame i with frame i.

    Raises:
        CwmTraceError: the traces are of different programs.
    """
    alignment = align(real, predicted, equality, masked)
    return Comparison(
        real=alignment.real,
        predicted=alignment.predicted,
        equality=equality,
        pairs=alignment.pairs,
        places=alignment.places,
        score=score_alignment(alignment),
        first_divergence=find_divergence(alignment),
    )

"""Two logged runs on the programs that both have: what differs, how surely, and what flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import Run, read_logs
from cwm_trace.eval.benchmark.results import require_numpy
from cwm_trace.eval.statistics.estimates import Difference
from cwm_trace.eval.statistics.pairing import compare_scores, find_flips

_FLIPPING = ("output_accuracy", "trace_exact")
"""Verdicts whose flips are named."""


@dataclass(frozen=True)
class Contrast:
    """Run B against run A, in one task and one mode.

    Args:
        first, second: the runs.
        programs: ids of those that both have, under the same prompt.
        differences: B minus A, by the names of the report's metrics.
        lost, won: ids that only A, or only B, gets right, by verdict.
    """

    first: Run
    second: Run
    programs: tuple[str, ...]
    differences: Mapping[str, Difference]
    lost: Mapping[str, Sequence[str]]
    won: Mapping[str, Sequence[str]]

    @property
    def left_out(self) -> int:
        """Programs that only one of the two has."""
        return len(self.first.by_program) + len(self.second.by_program) - 2 * len(self.programs)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the keys are stable."""
        return {
            "task": self.first.header.task,
            "mode": self.first.header.mode,
            "a": self.first.header.model,
            "b": self.second.header.model,
            "programs": len(self.programs),
            "left_out": self.left_out,
            "differences": {name: asdict(found) for name, found in self.differences.items()},
            "lost": {name: list(ids) for name, ids in self.lost.items()},
            "won": {name: list(ids) for name, ids in self.won.items()},
        }


def contrast_places(first: Path, others: Sequence[Path], *, seed: int = 0) -> list[Contrast]:
    """Compare the runs at each of `others` with those at `first`, task by task and mode by mode.

    A place is a log, or a folder of logs. In a folder the runs of models count; baselines do where there are
    no models.

    Raises:
        CwmTraceError: a place has no logs, or several models; or two places have no programs in common.
    """
    require_numpy()
    base = _runs_at(first)
    found = []
    for other in others:
        runs = _runs_at(other)
        contrasts = [
            _contrast_runs(base[key], runs[key], seed=seed)
            for key in base
            if key in runs and _shared_ids(base[key], runs[key])
        ]
        if not contrasts:
            raise CwmTraceError(f"{first} and {other} have no programs of one task and mode in common")
        found += contrasts
    return found


def _contrast_runs(first: Run, second: Run, *, seed: int = 0) -> Contrast:
    """Compare two runs on the programs that both have."""
    ids = _shared_ids(first, second)
    one, two = first.by_program, second.by_program
    a, b = ([[line.score for line in side[name]] for name in ids] for side in (one, two))
    flips = {key: find_flips(a, b, key) for key in _FLIPPING}
    return Contrast(
        first=first,
        second=second,
        programs=tuple(ids),
        differences=compare_scores(a, b, seed=seed),
        lost={key: [ids[index] for index in lost] for key, (lost, _) in flips.items()},
        won={key: [ids[index] for index in won] for key, (_, won) in flips.items()},
    )


def _runs_at(place: Path) -> dict[tuple[str, str], Run]:
    runs = read_logs(place)
    models = [run for run in runs if not run.header.is_floor] or runs
    names = list(dict.fromkeys(run.header.model for run in models))
    if len(names) > 1:
        raise CwmTraceError(f"{place} has several models, {', '.join(names)}: name the log of one of them")
    return {(run.header.task, run.header.mode): run for run in models}


def _shared_ids(first: Run, second: Run) -> list[str]:
    """Programs of both runs that were shown to both models alike, in one order."""
    prompts = {line.id: line.prompt for line in second.programs}
    return sorted({line.id for line in first.programs if prompts.get(line.id) == line.prompt})

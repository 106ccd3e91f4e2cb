"""What a benchmark found: the logged runs, summarised."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwm_trace.display import Shown
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import Header, ProgramLine, Run, read_logs
from cwm_trace.eval.benchmark.published import PUBLISHED
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.breakdown import break_down, compare_levels, count_causes
from cwm_trace.eval.statistics.estimates import Estimate
from cwm_trace.eval.statistics.samples import summarise_samples
from cwm_trace.eval.statistics.summary import answer_is_right, summarise
from cwm_trace.extras import require

if TYPE_CHECKING:
    import pandas

_SCHEMA_VERSION = 1
FLOOR = "copy"
_LENGTH_BINS = (16, 32, 64, 128, 256, 512)
"""Greatest numbers of real frames in the bins of program length; one more bin is open."""

_BY_LENGTH = ("output_accuracy", "frame_exact", "state_exact", "changed_slot_f1", "rmst_32", "rmst_128")
_BIN_FOLDS = 1_000

RESULTS = ("complete", "truncated", "timed-out", "unparsable", "no-end", "no-trace", "not-comparable")


@dataclass(frozen=True)
class Report:
    """One run, summarised.

    Args:
        run: the log.
        metrics: with intervals, and with skill where the copy baseline was run, by name; see
            docs/benchmark.md.
        levels: what depends on how strictly values are compared, by equality.
        by_length: some of the metrics by `length_bin` of the real execution.
        prompts: digest of all prompts of the run.
    """

    run: Run
    metrics: Mapping[str, Estimate]
    levels: Mapping[str, Mapping[str, float | None]]
    by_length: Mapping[str, Mapping[str, Estimate]]
    prompts: str

    @property
    def header(self) -> Header:
        """What was run."""
        return self.run.header

    @property
    def programs(self) -> int:
        """Programs with a score."""
        return len(self.run.by_program)

    @property
    def predictions(self) -> int:
        """Predictions with a score: one of each program, or several samples."""
        return len(self.run.programs)

    @property
    def is_complete(self) -> bool:
        """Whether every program of the task was scored or excluded."""
        return self.run.is_complete

    @property
    def results(self) -> dict[str, int]:
        """Predictions by how they ended."""
        counts = Counter(line.result for line in self.run.programs)
        return {name: counts[name] for name in RESULTS}

    @property
    def excluded(self) -> dict[str, int]:
        """Programs left out, by reason."""
        return _counted(line.reason for line in self.run.excluded)

    @property
    def faults(self) -> dict[str, int]:
        """Predictions that hold no trace or cannot be compared, by reason."""
        return _counted(line.reason for line in self.run.programs if line.reason)

    @property
    def failed(self) -> dict[str, int]:
        """Predictions that a server refused, by reason; `--resume` asks for them again."""
        return _counted(line.reason for line in self.run.failed)

    @property
    def skipped(self) -> dict[str, int]:
        """What stood around the frames of finished generations, in how many."""
        return _counted(what for line in self.run.programs for what in line.skipped)

    @property
    def compares_texts(self) -> bool:
        """Whether the log is older than the comparison of answers by `==`."""
        return any(line.score.answer is None and line.score.output is not None for line in self.run.programs)

    @property
    def causes(self) -> dict[str, int]:
        """What was wrong first, in how many predictions."""
        return count_causes(_scores(self.run))

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the keys are stable."""
        header = self.header.model_dump(mode="json", exclude={"kind", "schema_version"})
        return {
            "task": header.pop("task"),
            "model": header.pop("model"),
            "mode": header.pop("mode"),
            "programs": self.programs,
            "predictions": self.predictions,
            "complete": self.is_complete,
            "results": self.results,
            "excluded": self.excluded,
            "faults": self.faults,
            "failed": self.failed,
            "skipped": self.skipped,
            "metrics": {name: asdict(value) for name, value in self.metrics.items()},
            "levels": {level: dict(found) for level, found in self.levels.items()},
            "by_length": {
                bin_name: {name: asdict(value) for name, value in metrics.items()}
                for bin_name, metrics in self.by_length.items()
            },
            **break_down(_groups(self.run), seed=self.header.seed),
            "provenance": {**header, "prompts": self.prompts},
            "published": [asdict(entry) for entry in PUBLISHED.get(self.header.published, ())],
        }


@dataclass(frozen=True)
class Results(Shown):
    """Runs side by side.

    Args:
        runs: the logs, in the order in which they are reported.
        seed: of resampling.
    """

    runs: tuple[Run, ...]
    seed: int = 0

    @cached_property
    def reports(self) -> list[Report]:
        """The runs, summarised."""
        floors = {_what(run): run for run in self.runs if run.header.model == FLOOR}
        return [
            Report(
                run=run,
                metrics={
                    **summarise(_groups(run), baseline=_same_programs(floors, run), seed=self.seed),
                    **summarise_samples(_answers(run), seed=self.seed),
                },
                levels=compare_levels(
                    {
                        "exact": [line.exact for line in run.programs],
                        "normal": [line.score for line in run.programs],
                        "typed": [line.typed for line in run.programs],
                    }
                ),
                by_length=self._by_length(run),
                prompts=_digest("".join(line.prompt for line in _in_order(run))),
            )
            for run in self.runs
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the keys are stable."""
        return {"schema_version": _SCHEMA_VERSION, "runs": [report.to_dict() for report in self.reports]}

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each program of each run: what was run, how it ended, its counts.

        Raises:
            CwmTraceError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise CwmTraceError("a data frame needs pandas: pip install pandas") from None
        return pandas.json_normalize(self.to_rows())

    def to_rows(self) -> list[dict[str, Any]]:
        """What `to_pandas` puts into its rows, as plain data."""
        rows = []
        for run in self.runs:
            header = run.header
            what = {"task": header.task, "model": header.model, "mode": header.mode}
            for line in _in_order(run):
                score = asdict(line.score)
                score.pop("confidence", None)
                known = line.model_dump(exclude={"kind", "score", "stored", "prompt"})
                rows.append({**what, **known, **score})
        return rows

    def _by_length(self, run: Run) -> dict[str, dict[str, Estimate]]:
        bins: dict[str, list[list[ProgramScore]]] = {}
        for lines in sorted(run.by_program.values(), key=lambda lines: (lines[0].real_frames, lines[0].id)):
            scores = [line.score for line in lines]
            bins.setdefault(length_bin(lines[0].real_frames), []).append(scores)
        found = {}
        for name, groups in bins.items():
            metrics = summarise(groups, folds=_BIN_FOLDS, seed=self.seed)
            found[name] = {key: metrics[key] for key in _BY_LENGTH}
        return found


def require_numpy() -> None:
    """Say so at the start, not after hours of predictions, if intervals cannot be computed.

    Raises:
        CwmTraceError: numpy is not installed.
    """
    require("report", "a benchmark", "numpy")


def require_programs(runs: Sequence[Run]) -> None:
    """Make sure that there is anything to report.

    Raises:
        CwmTraceError: every program of every run was excluded; the sentence says why.
    """
    if any(run.programs or run.failed or not run.excluded for run in runs) or not runs:
        return
    counts = Counter(
        line.reason for line in {line.id: line for run in runs for line in run.excluded}.values()
    )
    shown = "; ".join(f"{reason} ({count})" for reason, count in counts.most_common(3))
    more = f"; and {len(counts) - 3} more reasons" if len(counts) > 3 else ""
    raise CwmTraceError(
        f"there is nothing to compare: all {sum(counts.values())} programs are excluded: {shown}{more}"
    )


def read_results(places: Sequence[Path], seed: int = 0) -> Results:
    """The logs of some files and folders.

    Raises:
        CwmTraceError: one cannot be read or is no log.
    """
    require_numpy()
    return Results(tuple(run for place in places for run in read_logs(place)), seed)


def length_bin(frames: int) -> str:
    """The bin of a real execution with so many frames.

    >>> length_bin(17), length_bin(1000)
    ('17-32', '513-')
    """
    low = 1
    for bound in _LENGTH_BINS:
        if frames <= bound:
            return f"{low}-{bound}"
        low = bound + 1
    return f"{low}-"


def _what(run: Run) -> tuple[str, str, str]:
    """What must be equal for two runs to stand side by side."""
    return run.header.task, run.header.item_hash, run.header.mode


def _same_programs(floors: Mapping[tuple[str, str, str], Run], run: Run) -> list[ProgramScore] | None:
    """The copy baseline on the same programs; None if there is none, or it has not come to all of them."""
    floor = floors.get(_what(run))
    if floor is None:
        return None
    known = floor.by_program
    names = run.by_program
    return [known[name][0].score for name in names] if names and known.keys() >= names.keys() else None


def _in_order(run: Run) -> list[ProgramLine]:
    """The predictions in one order, whatever the order in which they finished."""
    return [line for lines in run.by_program.values() for line in lines]


def _scores(run: Run) -> list[ProgramScore]:
    return [line.score for line in _in_order(run)]


def _groups(run: Run) -> list[list[ProgramScore]]:
    return [[line.score for line in lines] for lines in run.by_program.values()]


def _answers(run: Run) -> list[list[tuple[str | None, bool]]]:
    """What each sample of a program answers, and whether that is right."""
    groups = [
        [(line.said, right) for line in lines if (right := answer_is_right(line.score)) is not None]
        for lines in run.by_program.values()
    ]
    return [group for group in groups if group]


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _digest(text: str) -> str:
    """Twelve hex digits; none of nothing."""
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else ""

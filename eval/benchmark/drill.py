"""From a log down to one program: what went wrong where, and the real execution beside the predicted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.generations import read_rows
from cwm_trace.eval.benchmark.log import ProgramLine, Run, read_logs
from cwm_trace.eval.benchmark.results import RESULTS
from cwm_trace.eval.benchmark.stored import restore_prediction
from cwm_trace.eval.benchmark.tasks import Case, find_tasks
from cwm_trace.eval.benchmark.truth import Truth, find_truth, start_of
from cwm_trace.eval.comparison import Comparison, compare
from cwm_trace.eval.statistics.breakdown import cause_words
from cwm_trace.eval.statistics.summary import answer_is_right
from cwm_trace.predict.baselines import BASELINES
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Trace

_OUTCOMES = (
    *("wrong", "right"),
    *RESULTS,
    *("excluded", "failed"),
)
"""What programs can be chosen by: how the prediction ended, or whether its output is right."""


@dataclass(frozen=True)
class ProgramRow:
    """One prediction of a log, in a line.

    Args:
        id, sample: which it is.
        outcome: how it ended; `excluded` and `failed` where there is none.
        output: `right` or `wrong`; empty where there is none to judge.
        frames: right ones, and real ones.
        first_wrong: the first wrong frame's number and what is wrong with it.
        said: the output, as predicted.
        reason: why there is nothing to compare.
    """

    id: str
    sample: int = 0
    outcome: str = ""
    output: str = ""
    frames: tuple[int, int] = (0, 0)
    first_wrong: str = ""
    said: str = ""
    reason: str = ""

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.outcome == "complete" and self.frames[0] == self.frames[1] and self.output != "wrong"


def read_one_log(place: Path) -> Run:
    """The log at a place.

    Raises:
        CwmTraceError: it cannot be read, or is a folder with several.
    """
    runs = read_logs(place)
    if len(runs) > 1:
        names = ", ".join(run.path.name for run in runs)
        raise CwmTraceError(f"{place} has several logs, name one of them: {names}")
    return runs[0]


def list_programs(run: Run, outcomes: Sequence[str] = ()) -> list[ProgramRow]:
    """The predictions of a log, what is most wrong first.

    Args:
        run: the log.
        outcomes: take these only, of `_OUTCOMES`.

    Raises:
        CwmTraceError: there is no such outcome.
    """
    unknown = [name for name in outcomes if name not in _OUTCOMES]
    if unknown:
        raise CwmTraceError(f"there is no outcome {unknown[0]!r}: choose one of {', '.join(_OUTCOMES)}")
    rows = [_row(line) for line in run.programs]
    rows.sort(
        key=lambda row: (row.is_right, row.output != "wrong", row.frames[0] / max(1, row.frames[1]), row.id)
    )
    rows += [ProgramRow(x.id, x.sample, "failed", reason=x.reason) for x in run.failed]
    rows += [ProgramRow(line.id, outcome="excluded", reason=line.reason) for line in run.excluded]
    return [row for row in rows if not outcomes or {row.outcome, row.output}.intersection(outcomes)]


def _row(line: ProgramLine) -> ProgramRow:
    score = line.score
    right = answer_is_right(score)
    first = (
        "" if score.tau is None or not score.tau_observed else f"frame {score.tau + 1} after the given ones"
    )
    return ProgramRow(
        id=line.id,
        sample=line.sample,
        outcome=line.result,
        output="" if right is None else "right" if right else "wrong",
        frames=(score.frames.true_positives, score.length),
        first_wrong=f"{first}: {cause_words(score)}" if first else "",
        said=line.said or "",
        reason=line.reason,
    )


def compare_program(run: Run, name: str, sample: int = 0) -> Comparison:
    """A prediction of a log beside the real execution, which is recorded again.

    Args:
        run: the log.
        name: id of the program; what stands behind its last slash is enough.
        sample: number of the prediction.

    Raises:
        CwmTraceError: the log has no such prediction, its program is not found any more, or has no real
            execution.
    """
    line = _find_line(run, name, sample)
    cases = find_cases(run)
    if line.id not in cases:
        raise CwmTraceError(f"{line.id} is not in {run.header.spec or run.header.source} any more")
    found = find_truth(cases[line.id])
    if not isinstance(found, Truth):
        raise CwmTraceError(f"{line.id} has no real execution here: {found}")
    return compare(found.trace, find_prediction(run, line, found.trace))


def _find_line(run: Run, name: str, sample: int) -> ProgramLine:
    lines = [line for line in run.programs if name in (line.id, line.id.rpartition("/")[2])]
    for line in lines:
        if line.sample == sample:
            return line
    lost = [(line.id, line.reason) for line in run.excluded] + [(line.id, line.reason) for line in run.failed]
    for known, reason in lost:
        if name in (known, known.rpartition("/")[2]):
            raise CwmTraceError(f"{known} has no prediction in {run.path}: {reason}")
    if lines:
        raise CwmTraceError(f"{name} has samples 0 to {max(line.sample for line in lines)}, not {sample}")
    some = ", ".join(line.id for line in run.programs[:3])
    raise CwmTraceError(f"{run.path} has no program {name!r}: it has {some or 'none'}, …")


def find_cases(run: Run) -> dict[str, Case]:
    """The programs of a log's task, or of the file that it was scored from, by id."""
    header = run.header
    if header.spec:
        cases: Sequence[Case] = find_tasks([header.spec])[0].cases
    else:
        cases = [row.case for row in read_rows(header.source)]
    return {case.item.id: case for case in cases}


def find_prediction(run: Run, line: ProgramLine, real: Trace) -> Trace:
    """A prediction of a log, as a trace.

    Args:
        run: the log.
        line: of it.
        real: the real execution.

    Raises:
        CwmTraceError: the log does not hold it.
    """
    if line.stored is not None:
        return restore_prediction(line.stored, real)
    if run.header.model not in BASELINES:
        raise CwmTraceError(f"{run.path} does not hold the prediction of {line.id}")
    baseline = BASELINES[run.header.model]()  # made again faster than kept
    return baseline.predict(Request(start_of(real), run.header.mode, real, run.header.max_frames))

"""The log of a benchmark: JSON Lines that are only ever added to, one file for a task, a model and a mode.

The first line is the header; then comes a line for each program as it finishes: `program` with its score
and its prediction; `excluded` with the reason why there is nothing to compare it with; or `failed`, which
`--resume` asks for again. A log that was cut anywhere is read up to its last whole line, and goes on from
there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.stored import Stored
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.comparison.score_fields import score_fields, score_from_fields
from cwm_trace.files import Closing, LineFile, make_folder, parse_object, whole_lines
from cwm_trace.json_lines import dump_line
from cwm_trace.records import Decoding
from cwm_trace.versions import LOG_VERSION, check_version, migrate_log_line


class _Line(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class Header(_Line):
    """What a run is: runs are comparable where task, items, mode and profile are equal.

    Attributes:
        schema_version: of this file.
        task, items, item_hash: what reports call the programs, their number, and a digest of their texts.
        spec: the name that finds them again, such as `general-v1:core`.
        published: whose published results stand beside these.
        model: what reports call the predictor.
        decoding: how it predicts; its dtype is here.
        mode: prediction mode.
        profile, profile_hash: the format of the prompts and how it is read.
        prompt_hash: of the form of a prompt: two runs that show a model the same program differently differ.
        python, cwm_trace: versions of the interpreter and of this package.
        batch_size: programs that a model was given at a time.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        max_new_tokens: tokens after which one stops; None: the predictor states no such budget.
        seed: of resampling; that of a model that samples is in its decoding.
        limit: programs of the task that were taken at the most.
        samples: predictions of each program, at the most where they come from a file.
        ids, shuffle_seed: which programs of the task were taken, and how they were shuffled before the limit.
        source: where predictions came from that were not made by this run (`rescore`).
    """

    kind: Literal["header"] = "header"
    schema_version: int = LOG_VERSION
    task: str
    items: int
    item_hash: str
    spec: str = ""
    published: str = ""
    model: str
    decoding: Decoding
    mode: str
    profile: str
    profile_hash: str
    prompt_hash: str
    python: str
    cwm_trace: str
    batch_size: int
    max_frames: int
    max_new_tokens: int | None = None
    seed: int = 0
    limit: int | None = None
    samples: int = 1
    ids: list[str] = []
    shuffle_seed: int | None = None
    source: str = ""

    @property
    def what(self) -> str:
        """What is predicted, how and by whom, for a line of progress."""
        return f"{self.task}, {self.mode}, {self.model}"

    @property
    def is_floor(self) -> bool:
        """Whether no model predicted."""
        return not self.decoding.model and not self.source

    def is_of(self, other: Header) -> bool:
        """Whether both are of one task, mode and predictor, whatever the labels say."""
        same = self.spec == other.spec if self.spec and other.spec else self.task == other.task
        return same and (self.mode, self.decoding) == (other.mode, other.decoding)


def _read_score(fields: Any) -> Any:
    if isinstance(fields, ProgramScore):
        return fields
    try:
        return score_from_fields(fields)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no score: {error}") from error


_Score = Annotated[ProgramScore, pydantic.PlainValidator(_read_score), pydantic.PlainSerializer(score_fields)]


class ProgramLine(_Line):
    """A program that was predicted.

    Attributes:
        id: of the item.
        family: generator or data set it comes from.
        knobs: settings it was generated with.
        prompt: digest of what the model was given.
        real_frames: frames of the real execution, the given one included.
        sample: number of the prediction among those of this program.
        result: `complete`, `truncated`, `timed-out`, `unparsable`, `no-end`, `no-trace` or `not-comparable`.
        reason: what is wrong with it, where it is one of the last two.
        skipped: what stood around the frames of a finished generation.
        said: the value that the entry returns, as predicted.
        score: under the equality `normal`, with the cost of the prediction.
        exact, typed: under the other equalities.
        stored: the prediction, so that it can be scored again; None for baselines, which are made again.
    """

    kind: Literal["program"] = "program"
    id: str
    family: str = ""
    knobs: dict[str, int | float | str | bool] = {}
    prompt: str = ""
    real_frames: int = 0
    sample: int = 0
    result: str
    reason: str = ""
    skipped: list[str] = []
    said: str | None = None
    score: _Score
    exact: _Score | None = None
    typed: _Score | None = None
    stored: Stored | None = None


class ExcludedLine(_Line):
    """A program without a real execution to compare with; it counts for all of its samples."""

    kind: Literal["excluded"] = "excluded"
    id: str
    reason: str


class FailedLine(_Line):
    """A program whose prediction was refused, by a server; the run goes on, and `--resume` asks again."""

    kind: Literal["failed"] = "failed"
    id: str
    sample: int = 0
    reason: str


@dataclass(frozen=True)
class Run:
    """A log that was read.

    Args:
        path: where it is.
        header: what the run is.
        programs: in the order in which they finished.
        excluded: programs left out, and why.
        failed: predictions that were refused, and have not been made since.
    """

    path: Path
    header: Header
    programs: tuple[ProgramLine, ...] = ()
    excluded: tuple[ExcludedLine, ...] = ()
    failed: tuple[FailedLine, ...] = ()

    @property
    def done(self) -> Done:
        """What needs no more work."""
        return Done({(line.id, line.sample) for line in self.programs}, {line.id for line in self.excluded})

    @cached_property
    def by_program(self) -> dict[str, list[ProgramLine]]:
        """The predictions of each program, both in an order that does not depend on when they finished."""
        found: dict[str, list[ProgramLine]] = {}
        for line in sorted(self.programs, key=lambda line: (line.id, line.sample)):
            found.setdefault(line.id, []).append(line)
        return found

    @property
    def is_complete(self) -> bool:
        """Whether every program of the task has its lines."""
        programs = self.by_program
        if self.failed or len(programs.keys() | {line.id for line in self.excluded}) < self.header.items:
            return False
        if self.header.source:  # a file of others may have more texts for one program than for another
            return True
        return all(len(lines) >= self.header.samples for lines in programs.values())


@dataclass
class Done:
    """What needs no more work: predictions by program and sample, and programs that are left out."""

    predicted: set[tuple[str, int]]
    excluded: set[str]

    def has(self, name: str, sample: int = 0) -> bool:
        """Whether this prediction needs no more work."""
        return name in self.excluded or (name, sample) in self.predicted

    def has_all(self, name: str, samples: int) -> bool:
        """Whether none of the program's predictions does."""
        return all(self.has(name, sample) for sample in range(samples))


class LogWriter(Closing):
    """Adds to one log; every line is handed to the operating system before the next one is made.

    Args:
        path: of the log; made with `header` if it is not there or has no whole line.
        header: of this run.
        resume: go on with a log that is there, of the same run.

    Raises:
        CwmTraceError: the log is there and `resume` is not asked for, is of another run, is being written
            by another process, or cannot be written.
    """

    def __init__(self, path: Path, header: Header, *, resume: bool = False) -> None:
        self.path = path
        self.done = Done(set(), set())
        make_folder(path.parent)
        self._file = LineFile(path)
        try:
            whole = self._file.whole_length()
            if whole and not resume:
                raise CwmTraceError(f"{path} is there already: add --resume to go on, or name another folder")
            self._file.truncate(whole)
            if whole:
                run = read_log(path)
                _require_same(path, run.header, header)
                self.done = run.done
            else:
                self.write(header)
        except BaseException:
            self._file.close()
            raise

    def write(self, line: _Line) -> None:
        """Add a line; if that fails, the file ends where it ended before.

        Raises:
            CwmTraceError: the disk is full, or the like.
        """
        try:
            self._file.write(dump_line(line) + b"\n")
        except OSError as error:
            raise CwmTraceError(
                f"cannot write {self.path}: {error.strerror}; what is recorded is kept, --resume goes on"
            ) from error
        if isinstance(line, ProgramLine):
            self.done.predicted.add((line.id, line.sample))
        elif isinstance(line, ExcludedLine):
            self.done.excluded.add(line.id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def log_name(task: str, mode: str, model: str) -> str:
    """File name of a run's log."""
    return "--".join(re.sub(r"[^\w.=+-]+", "-", part).strip("-") for part in (task, mode, model)) + ".jsonl"


def find_log(folder: Path, header: Header) -> Path | None:
    """The log in a folder that a run with this header goes on with; None if there is none."""
    for path in sorted(folder.glob("*.jsonl")):
        with open(path, "rb") as stream:
            try:
                first = next(_parse(path, stream), None)
            except CwmTraceError:
                continue  # somebody else's file
        if isinstance(first, Header) and first.is_of(header):
            return path
    return None


def read_logs(place: Path) -> list[Run]:
    """The log at `place`, or all logs of that folder, in the order of their names.

    Raises:
        CwmTraceError: there is none, or one is damaged.
    """
    if not place.is_dir():
        return [read_log(place)]
    paths = sorted(place.glob("*.jsonl"))
    if not paths:
        raise CwmTraceError(f"{place} has no logs of a benchmark")
    return [read_log(path) for path in paths]


def read_log(path: Path) -> Run:
    """Read a log, up to its last whole line.

    Raises:
        CwmTraceError: it cannot be read, is no log, is damaged before its last line, or has a newer schema.
    """
    try:
        with open(path, "rb") as stream:
            lines = list(_parse(path, stream))
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    if not lines:
        raise CwmTraceError(f"{path} is empty: there is no benchmark in it")
    header, *rest = lines
    if not isinstance(header, Header):
        raise CwmTraceError(f"{path} does not start with the header of a benchmark")
    programs: dict[tuple[str, int], ProgramLine] = {}
    excluded: dict[str, ExcludedLine] = {}
    failed: dict[tuple[str, int], FailedLine] = {}
    for line in rest:
        if isinstance(line, ProgramLine):
            programs.setdefault((line.id, line.sample), line)
            failed.pop((line.id, line.sample), None)
        elif isinstance(line, ExcludedLine):
            excluded.setdefault(line.id, line)
        elif isinstance(line, FailedLine):
            failed[line.id, line.sample] = line
        else:
            raise CwmTraceError(f"{path} has a second header: write each run to a folder of its own")
    return Run(path, header, tuple(programs.values()), tuple(excluded.values()), tuple(failed.values()))


_KINDS: dict[str, type[_Line]] = {
    "header": Header,
    "program": ProgramLine,
    "excluded": ExcludedLine,
    "failed": FailedLine,
}


def _parse(path: Path, stream: Any) -> Iterator[_Line]:
    version = LOG_VERSION
    for number, data in enumerate(whole_lines(stream), start=1):
        line = parse_object(path, number, data)
        kind = line.get("kind")
        if kind not in _KINDS:
            raise CwmTraceError(f"{path} is no log of a benchmark: line {number} is of kind {kind!r}")
        if kind == "header":
            version = check_version(path, line.get("schema_version", LOG_VERSION), LOG_VERSION)
        try:
            yield _KINDS[kind].model_validate(migrate_log_line(line, version))
        except pydantic.ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise CwmTraceError(f"{path} is damaged: line {number} is wrong in {where}") from error


def _require_same(path: Path, there: Header, here: Header) -> None:
    for name in Header.model_fields:
        if name in ("task", "model"):  # labels, short or long by what they stand beside
            continue
        old, new = getattr(there, name), getattr(here, name)
        if old != new:
            raise CwmTraceError(f"{path} is the log of another run: its {name} is {old!r}, now {new!r}")

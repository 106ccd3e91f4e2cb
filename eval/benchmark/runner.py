"""Runs a benchmark: records what really happens, asks the predictors, scores, logs each program when done.

Programs are taken a few batches at a time. Their real executions are recorded once and serve every predictor
and every mode, and nothing of them is kept afterwards.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.execution import execute_answers
from cwm_trace.eval.benchmark.log import (
    ExcludedLine,
    FailedLine,
    Header,
    LogWriter,
    Run,
    find_log,
    log_name,
    read_log,
)
from cwm_trace.eval.benchmark.log_lines import Answer, digest, score_answers
from cwm_trace.eval.benchmark.responses import ResponseCache
from cwm_trace.eval.benchmark.tasks import Case, Task
from cwm_trace.eval.benchmark.truth import Truth, find_truth, start_of
from cwm_trace.predict.labels import shortest_labels
from cwm_trace.predict.modes import parse_mode
from cwm_trace.predict.protocol import Predictor, RefusedError, Request, predict_all
from cwm_trace.progress import OnProgress, Progress, say_nothing
from cwm_trace.records import Event, Frame, Program, SourceFile, Trace
from cwm_trace.versions import VERSION
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import render_prompt
from cwm_trace.wire.tokens import TraceTokens

_PROGRAMS, _BATCHES = 64, 4  # whose real executions are in memory: the more of the two
_REFUSED = 5  # requests without an answer before, after which nobody hopes for one
_SECONDS = 2.0  # that an answer waits for others to be scored with


@dataclass(frozen=True)
class Settings:
    """How a benchmark runs.

    Args:
        batch_size: programs that a predictor is given at a time.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        seed: of resampling; that of a model that samples is in its decoding.
        limit: programs of each task at the most; for the headers, the tasks are cut already.
        samples: predictions of each program by a predictor with a model.
        ids, shuffle_seed: how programs were chosen; for the headers, too.
        workers: real executions at a time, of code that runs in processes of its own.
        execute: run answers that are no literals, in the sandbox.
        resume: go on with the logs that are there.
        cache: folder of responses to use again; None: none.
    """

    batch_size: int = 8
    max_frames: int = 1_000
    seed: int = 0
    limit: int | None = None
    samples: int = 1
    ids: tuple[str, ...] = ()
    shuffle_seed: int | None = None
    workers: int = 1
    execute: bool = False
    resume: bool = False
    cache: Path | None = None


def run_bench(
    tasks: Sequence[Task],
    predictors: Sequence[Predictor],
    modes: Sequence[str],
    folder: Path,
    settings: Settings = Settings(),
    report: OnProgress = say_nothing,
) -> list[Run]:
    """Predict every program of every task with every predictor in every mode, and log it in `folder`.

    Args:
        tasks, predictors, modes: what is run.
        folder: of the logs.
        settings: how.
        report: is told of every prediction that is logged.

    Returns:
        The logs, read again: by task, then predictor, then mode.

    Raises:
        CwmTraceError: a bad mode, a log that cannot be written or is of another run, or a predictor that
            cannot go on; what was logged until then is kept.
    """
    names = [str(parse_mode(mode)) for mode in dict.fromkeys(modes)]
    labels = shortest_labels([predictor.decoding for predictor in predictors])
    paths: list[Path] = []
    with ExitStack() as stack:
        cache = None
        if settings.cache is not None:
            cache = ResponseCache(settings.cache)
            stack.callback(cache.close)
        columns: list[tuple[Task, list[_Column]]] = []
        for task in tasks:
            item_hash = task.item_hash
            columns.append((task, []))
            for predictor, label in zip(predictors, labels, strict=True):
                for mode in names:
                    header = _header(task, item_hash, predictor, label, mode, settings)
                    path = find_log(folder, header) if settings.resume else None
                    paths.append(path or folder / log_name(task.name, mode, label))
                    log = stack.enter_context(LogWriter(paths[-1], header, resume=settings.resume))
                    columns[-1][1].append(_Column(predictor, mode, header, log))
        total = sum(len(column.left(task.cases)) for task, group in columns for column in group)
        bench = _Bench(settings, cache, report, total)
        for task, group in columns:
            bench.run(task, group)
    return [read_log(path) for path in paths]


@dataclass(frozen=True)
class _Column:
    """A predictor in a mode, and its log."""

    predictor: Predictor
    mode: str
    header: Header
    log: LogWriter

    @property
    def is_floor(self) -> bool:
        """Whether it has no model, and costs nothing."""
        return not self.predictor.decoding.model

    def left(self, cases: Sequence[Case]) -> list[tuple[Case, int]]:
        """The predictions of these programs that are still to be made."""
        samples = range(self.header.samples)
        return [(case, n) for case in cases for n in samples if not self.log.done.has(case.item.id, n)]


class _Bench:
    def __init__(
        self,
        settings: Settings,
        cache: ResponseCache | None,
        report: OnProgress,
        total: int,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._report = report
        self._total = total
        self._done = 0

    def run(self, task: Task, columns: list[_Column]) -> None:
        """Chunk by chunk; of each the floors first, which cost seconds and tell what a model is worth."""
        size = max(self._settings.batch_size * _BATCHES, _PROGRAMS)
        left = [case for case in task.cases if any(column.left([case]) for column in columns)]
        columns = sorted(columns, key=lambda column: not column.is_floor)
        for start in range(0, len(left), size):
            truths: dict[str, Truth] = {}
            chunk = left[start : start + size]
            for case, found in zip(chunk, self._find_truths(chunk), strict=True):
                if isinstance(found, Truth):
                    truths[case.item.id] = found
                else:
                    self._exclude(case, columns, found)
            known = [case for case in chunk if case.item.id in truths]
            for column in columns:
                self._predict(column, column.left(known), truths)

    def _find_truths(self, cases: Sequence[Case]) -> list[Truth | str]:
        """The real executions, several at a time where they run in processes of their own."""
        apart = [at for at, case in enumerate(cases) if case.place in ("sandbox", "own")]
        if self._settings.workers == 1 or len(apart) < 2:
            return [find_truth(case) for case in cases]
        with ThreadPoolExecutor(self._settings.workers, "cwm-trace-record") as pool:
            found = dict(zip(apart, pool.map(find_truth, [cases[at] for at in apart]), strict=True))
            return [found[at] if at in found else find_truth(case) for at, case in enumerate(cases)]

    def _exclude(self, case: Case, columns: list[_Column], reason: str) -> None:
        for column in columns:
            left = column.left([case])
            if left:
                column.log.write(ExcludedLine(id=case.item.id, reason=reason))
                self._advance(column, len(left))

    def _predict(self, column: _Column, jobs: list[tuple[Case, int]], truths: dict[str, Truth]) -> None:
        requests = [
            Request(
                start_of(truths[case.item.id].trace),
                column.mode,
                truths[case.item.id].trace,
                self._settings.max_frames,
                sample,
            )
            for case, sample in jobs
        ]
        waiting: list[Answer] = []
        said = time.monotonic()
        try:
            for index, predicted in self._ask(column, requests):
                case, sample = jobs[index]
                if isinstance(predicted, str):
                    column.log.write(FailedLine(id=case.item.id, sample=sample, reason=predicted))
                    self._advance(column)
                    continue
                waiting.append(Answer(case, truths[case.item.id], predicted, sample))
                if time.monotonic() - said > _SECONDS:
                    self._log(column, waiting)
                    said = time.monotonic()
        finally:  # a predictor that goes away takes nothing with it that it has said
            self._log(column, waiting)

    def _log(self, column: _Column, waiting: list[Answer]) -> None:
        """Score and log the answers that wait for it; a baseline's are made again more easily than kept."""
        if not waiting:
            return
        lines = score_answers(waiting, keep=not column.is_floor)
        for line in execute_answers(waiting, lines) if self._settings.execute else lines:
            column.log.write(line)
            self._advance(column)
        waiting.clear()

    def _ask(self, column: _Column, requests: list[Request]) -> Iterator[tuple[int, Trace | str]]:
        """The answers, a batch at a time, or why one was refused.

        Raises:
            CwmTraceError: the predictor cannot go on; or it refused so many, and answered none.
        """
        size = self._settings.batch_size
        refused = 0
        has_answered = False
        for start in range(0, len(requests), size):
            batch = requests[start : start + size]
            left = dict(enumerate(batch))
            try:
                for index, predicted in self._answers(column, batch):
                    del left[index]
                    has_answered = True
                    yield start + index, predicted
            except RefusedError:  # by one of them: each of the others is asked for by itself
                for index, request in left.items():
                    answer = self._answer_or_refusal(column, request)
                    refused += isinstance(answer, str)
                    has_answered |= not isinstance(answer, str)
                    if refused >= _REFUSED and not has_answered:
                        raise CwmTraceError(f"{answer}; so it answered each of {refused} requests") from None
                    yield start + index, answer

    def _answer_or_refusal(self, column: _Column, request: Request) -> Trace | str:
        try:
            ((_, predicted),) = self._answers(column, [request])
        except RefusedError as error:
            return str(error)
        return predicted

    def _answers(self, column: _Column, batch: list[Request]) -> Iterator[tuple[int, Trace]]:
        """Only what a model says is worth a place in the cache."""
        if self._cache is not None and not column.is_floor:
            return self._cache.predict_all(column.predictor, batch)
        return predict_all(column.predictor, batch)

    def _advance(self, column: _Column, count: int = 1) -> None:
        self._done += count
        self._report(Progress(column.header.what, self._done, self._total))


def _header(
    task: Task, item_hash: str, predictor: Predictor, label: str, mode: str, settings: Settings
) -> Header:
    decoding = predictor.decoding
    profile = getattr(getattr(predictor, "setup", None), "profile", CWM)
    tokens = getattr(predictor, "tokens", None)
    return Header(
        task=task.name,
        items=len(task.cases),
        item_hash=item_hash,
        spec=task.spec,
        published=task.published,
        model=label,
        decoding=decoding,
        mode=mode,
        profile=profile.name,
        profile_hash=profile.hash,
        prompt_hash=_prompt_hash(profile, tokens if isinstance(tokens, TraceTokens) else None),
        python=platform.python_version(),
        cwm_trace=VERSION,
        batch_size=settings.batch_size,
        max_frames=settings.max_frames,
        max_new_tokens=decoding.max_new_tokens,
        seed=settings.seed,
        limit=settings.limit,
        samples=settings.samples if decoding.model else 1,
        ids=list(settings.ids),
        shuffle_seed=settings.shuffle_seed,
    )


def _prompt_hash(profile: FormatProfile, tokens: TraceTokens | None) -> str:
    """A digest of the prompts of two small programs, a call and a script."""
    text = "def f(x):\n    return x + 1\ndef main():\n    return f(2)\n"
    files = (SourceFile("<source>", text),)
    call = Trace(Program(files, "main", 3), (Frame(Event.CALL, 3, "def main():"),))
    script = Trace(Program(files, "<module>"), (Frame(Event.CALL, 0, ""),))
    return digest(repr([render_prompt(trace, profile=profile, tokens=tokens) for trace in (call, script)]))

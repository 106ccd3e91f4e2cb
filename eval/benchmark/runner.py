"""Runs a benchmark: records what really happens, asks the predictors, scores, logs each program when done.

Programs are taken a few batches at a time. Their real executions are recorded once and serve every predictor
and every mode, and nothing of them is kept afterwards.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cwm_trace import __version__
from cwm_trace.eval.benchmark.cache import ResponseCache
from cwm_trace.eval.benchmark.log import ExcludedLine, Header, LogWriter, Run, find_log, log_name, read_log
from cwm_trace.eval.benchmark.scoring import Answer, digest, score_answers
from cwm_trace.eval.benchmark.tasks import Case, Task
from cwm_trace.eval.benchmark.truth import Truth, find_truth, start_of
from cwm_trace.predict.labels import shortest_labels
from cwm_trace.predict.modes import parse_mode
from cwm_trace.predict.protocol import Predictor, Request, predict_all
from cwm_trace.records import Event, Frame, SourceFile, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import render_prompt
from cwm_trace.wire.tokens import TraceTokens

_PROGRAMS, _BATCHES = 64, 4  # whose real executions are in memory: the more of the two
_SECONDS = 2.0  # that an answer waits for others to be scored with


@dataclass(frozen=True)
class Settings:
    """How a benchmark runs.

    Args:
        batch_size: programs that a predictor is given at a time.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        seed: of resampling; that of a model that samples is in its decoding.
        limit: programs of each task at the most; for the headers, the tasks are cut already.
        resume: go on with the logs that are there.
        cache: folder of responses to use again; None: none.
    """

    batch_size: int = 8
    max_frames: int = 1_000
    seed: int = 0
    limit: int | None = None
    resume: bool = False
    cache: Path | None = None


@dataclass(frozen=True)
class Progress:
    """Where a benchmark stands.

    Args:
        done, total: predictions of this command, those of earlier ones left out.
        task, mode, model: what is being predicted.
    """

    done: int
    total: int
    task: str
    mode: str
    model: str


def run_bench(
    tasks: Sequence[Task],
    predictors: Sequence[Predictor],
    modes: Sequence[str],
    folder: Path,
    settings: Settings = Settings(),
    report: Callable[[Progress], None] = lambda _: None,
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
        total = sum(len(task.cases) - len(column.log.done) for task, group in columns for column in group)
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


class _Bench:
    def __init__(
        self,
        settings: Settings,
        cache: ResponseCache | None,
        report: Callable[[Progress], None],
        total: int,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._report = report
        self._total = total
        self._done = 0

    def run(self, task: Task, columns: list[_Column]) -> None:
        size = max(self._settings.batch_size * _BATCHES, _PROGRAMS)
        left = [case for case in task.cases if any(case.item.id not in column.log.done for column in columns)]
        for start in range(0, len(left), size):
            truths: dict[str, Truth] = {}
            chunk = left[start : start + size]
            for case in chunk:
                found = find_truth(case)
                if isinstance(found, Truth):
                    truths[case.item.id] = found
                else:
                    self._exclude(case, columns, found)
            for column in columns:
                cases = [c for c in chunk if c.item.id in truths and c.item.id not in column.log.done]
                if cases:
                    self._predict(column, cases, truths)

    def _exclude(self, case: Case, columns: list[_Column], reason: str) -> None:
        for column in columns:
            if case.item.id not in column.log.done:
                column.log.write(ExcludedLine(id=case.item.id, reason=reason))
                self._advance(column)

    def _predict(self, column: _Column, cases: list[Case], truths: dict[str, Truth]) -> None:
        requests = [
            Request(start_of(real), column.mode, real, self._settings.max_frames)
            for real in (truths[case.item.id].trace for case in cases)
        ]
        waiting: list[Answer] = []
        said = time.monotonic()
        try:
            for index, predicted in self._ask(column, requests):
                waiting.append(Answer(cases[index], truths[cases[index].item.id], predicted))
                if time.monotonic() - said > _SECONDS:
                    self._log(column, waiting)
                    said = time.monotonic()
        finally:  # a predictor that goes away takes nothing with it that it has said
            self._log(column, waiting)

    def _log(self, column: _Column, waiting: list[Answer]) -> None:
        """Score and log the answers that wait for it; a baseline's are made again more easily than kept."""
        if not waiting:
            return
        for line in score_answers(waiting, keep=bool(column.predictor.decoding.model)):
            column.log.write(line)
            self._advance(column)
        waiting.clear()

    def _ask(self, column: _Column, requests: list[Request]) -> Iterator[tuple[int, Trace]]:
        """The answers, a batch at a time; only what a model says is worth a place in the cache."""
        size, predictor = self._settings.batch_size, column.predictor
        for start in range(0, len(requests), size):
            batch = requests[start : start + size]
            if self._cache is not None and predictor.decoding.model:
                answers = self._cache.predict_all(predictor, batch)
            else:
                answers = predict_all(predictor, batch)
            for index, predicted in answers:
                yield start + index, predicted

    def _advance(self, column: _Column) -> None:
        self._done += 1
        header = column.header
        self._report(Progress(self._done, self._total, header.task, header.mode, header.model))


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
        cwm_trace=__version__,
        batch_size=settings.batch_size,
        max_frames=settings.max_frames,
        max_new_tokens=decoding.max_new_tokens,
        seed=settings.seed,
        limit=settings.limit,
    )


def _prompt_hash(profile: FormatProfile, tokens: TraceTokens | None) -> str:
    """A digest of the prompts of two small programs, a call and a script."""
    text = "def f(x):\n    return x + 1\ndef main():\n    return f(2)\n"
    files = (SourceFile("<source>", text),)
    call = Trace(files, "main", 3, (Frame(Event.CALL, 3, "def main():"),))
    script = Trace(files, "<module>", 0, (Frame(Event.CALL, 0, ""),))
    return digest(repr([render_prompt(trace, profile=profile, tokens=tokens) for trace in (call, script)]))

"""Runs a benchmark: records what really happens, asks the predictors, scores, logs each program when done.

Programs are taken a few batches at a time. Their real executions are recorded once and serve every predictor
and every mode, and nothing of them is kept afterwards.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from cwm_trace import __version__
from cwm_trace.eval.alignment import NO_MASK
from cwm_trace.eval.cache import ResponseCache
from cwm_trace.eval.equality import Equality
from cwm_trace.eval.local_steps import Runner, score_local_steps
from cwm_trace.eval.log import ExcludedLine, Header, LogWriter, ProgramLine, Run, log_name, read_log
from cwm_trace.eval.masks import mask_differences
from cwm_trace.eval.score import ProgramScore, score_program
from cwm_trace.eval.step_runner import StepRunner, run_steps
from cwm_trace.eval.stored import store_prediction
from cwm_trace.eval.tasks import Case, Task
from cwm_trace.eval.truth import ExcludedError, Truth, record_truth, start_of
from cwm_trace.modes import parse_mode
from cwm_trace.predictor import ENDED, Predictor, Request, predict_all
from cwm_trace.records import Event, Frame, Outcome, SourceFile, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import render_prompt
from cwm_trace.wire.tokens import TraceTokens

_BATCHES_AT_ONCE = 4  # whose real executions are in memory
_INVALID = ("tokens", "locals")  # grades of problems that leave a frame without its parts


@dataclass(frozen=True)
class Settings:
    """How a benchmark runs.

    Args:
        batch_size: programs that a predictor is given at a time.
        max_frames: frames after which a prediction that has its own history stops, truncated.
        seed: of resampling and of a model that samples.
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

    Returns:
        The logs, read again: by task, then predictor, then mode.

    Raises:
        CwmTraceError: a bad mode, a log that cannot be written or is of another run, or a predictor that
            cannot go on; what was logged until then is kept.
    """
    names = [str(parse_mode(mode)) for mode in dict.fromkeys(modes)]
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
            for predictor in predictors:
                for mode in names:
                    header = _header(task, item_hash, predictor, mode, settings)
                    paths.append(folder / log_name(task.name, mode, header.model))
                    log = stack.enter_context(LogWriter(paths[-1], header, resume=settings.resume))
                    columns[-1][1].append(_Column(predictor, mode, header, log))
        total = sum(len(task.cases) - len(column.log.done) for task, group in columns for column in group)
        bench = _Bench(settings, cache, report, total, stack.enter_context(StepRunner()))
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
        steps: StepRunner,
    ) -> None:
        self._steps = steps
        self._settings = settings
        self._cache = cache
        self._report = report
        self._total = total
        self._done = 0

    def run(self, task: Task, columns: list[_Column]) -> None:
        size = self._settings.batch_size * _BATCHES_AT_ONCE
        left = [case for case in task.cases if any(case.item.id not in column.log.done for column in columns)]
        for start in range(0, len(left), size):
            truths: dict[str, Truth] = {}
            chunk = left[start : start + size]
            for case in chunk:
                found = self._record(case)
                if isinstance(found, Truth):
                    truths[case.item.id] = found
                else:
                    self._exclude(case, columns, found)
            for column in columns:
                cases = [c for c in chunk if c.item.id in truths and c.item.id not in column.log.done]
                if cases:
                    self._predict(column, cases, truths)

    def _record(self, case: Case) -> Truth | str:
        """The real execution, or why there is none."""
        try:
            return record_truth(case)
        except ExcludedError as error:
            return str(error)

    def _exclude(self, case: Case, columns: list[_Column], reason: str) -> None:
        for column in columns:
            if case.item.id not in column.log.done:
                column.log.write(ExcludedLine(id=case.item.id, reason=reason))
                self._advance(column)

    def _predict(self, column: _Column, cases: list[Case], truths: dict[str, Truth]) -> None:
        predictor = column.predictor
        requests = [
            Request(start_of(real), column.mode, real, self._settings.max_frames)
            for real in (truths[case.item.id].trace for case in cases)
        ]
        for index, predicted in self._ask(predictor, requests):
            line = score_line(cases[index], truths[cases[index].item.id], predicted, self._steps)
            if not predictor.decoding.model:  # made again more easily than kept
                line = line.model_copy(update={"stored": None})
            column.log.write(line)
            self._advance(column)

    def _ask(self, predictor: Predictor, requests: list[Request]) -> Iterator[tuple[int, Trace]]:
        """The answers, a batch at a time; only what a model says is worth a place in the cache."""
        size = self._settings.batch_size
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


def score_line(case: Case, truth: Truth, predicted: Trace, steps: Runner = run_steps) -> ProgramLine:
    """Compare a prediction with the real execution: the line of the log.

    Args:
        case: the program.
        truth: what really happens.
        predicted: the prediction.
        steps: what runs single statements in isolation: a `StepRunner` to keep one for many programs.
    """
    local = score_local_steps(predicted, real=truth.trace, run=steps)
    scores = {level: _score(truth, predicted, level) for level in Equality}
    prompt = render_prompt(truth.trace, given=max(1, predicted.given))
    return ProgramLine(
        id=case.item.id,
        family=case.item.family,
        knobs=dict(case.item.knobs),
        prompt=_digest(prompt),
        real_frames=len(truth.trace.frames),
        result=result_of(predicted),
        score=replace(scores[Equality.NORMAL], local_steps=local.by_kind, local_outside=local.outside),
        exact=scores[Equality.EXACT],
        typed=scores[Equality.TYPED],
        stored=store_prediction(predicted),
    )


def _score(truth: Truth, predicted: Trace, level: Equality) -> ProgramScore:
    masked = NO_MASK if truth.again is None else mask_differences(truth.trace, truth.again, level)
    return score_program(truth.trace, predicted, equality=level, masked=masked)


def result_of(predicted: Trace) -> str:
    """How a prediction ended: `complete`, `timed-out`, `truncated`, `unparsable` or `no-end`."""
    if predicted.outcome is Outcome.TIMED_OUT:
        return "timed-out"
    if predicted.outcome is Outcome.TRUNCATED:
        return "truncated"
    if any(problem.grade in _INVALID for problem in predicted.problems):
        return "unparsable"
    return "complete" if predicted.outcome in ENDED else "no-end"


def label_of(predictor: Predictor) -> str:
    """What logs and reports call a predictor: with its model, and whether the grammar helped it."""
    decoding = predictor.decoding
    model = Path(decoding.model).name
    label = predictor.name if not model or model in predictor.name else f"{predictor.name}:{model}"
    return f"{label}+grammar" if decoding.constrained else label


def _header(task: Task, item_hash: str, predictor: Predictor, mode: str, settings: Settings) -> Header:
    profile = getattr(predictor, "profile", CWM)
    tokens = getattr(predictor, "tokens", None)
    return Header(
        task=task.name,
        items=len(task.cases),
        item_hash=item_hash,
        published=task.published,
        model=label_of(predictor),
        decoding=predictor.decoding,
        mode=mode,
        profile=profile.name,
        profile_hash=profile.hash,
        prompt_hash=_prompt_hash(profile, tokens if isinstance(tokens, TraceTokens) else None),
        python=platform.python_version(),
        cwm_trace=__version__,
        batch_size=settings.batch_size,
        max_frames=settings.max_frames,
        max_new_tokens=getattr(predictor, "max_new_tokens", None),
        seed=settings.seed,
        limit=settings.limit,
    )


def _prompt_hash(profile: FormatProfile, tokens: TraceTokens | None) -> str:
    """A digest of the prompts of two small programs, a call and a script."""
    text = "def f(x):\n    return x + 1\ndef main():\n    return f(2)\n"
    files = (SourceFile("<source>", text),)
    call = Trace(files, "main", 3, (Frame(Event.CALL, 3, "def main():"),))
    script = Trace(files, "<module>", 0, (Frame(Event.CALL, 0, ""),))
    return _digest(repr([render_prompt(trace, profile=profile, tokens=tokens) for trace in (call, script)]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]

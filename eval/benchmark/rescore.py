"""Finished generations of others, scored as our own would be.

Rows are `{"id", "code", "input", "expected", "generation"}`, where the generation is CWM text after the
seeded CALL frame, as in the published files of ASSERT-KTH/cwm; or `{"prompt", "completion"}` with a whole
prompt. A log of ours is scored again as well. The real executions are recorded on the spot.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonlines
import pydantic

from cwm_trace import __version__
from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import ExcludedLine, Header, LogWriter, Run, log_name, read_log
from cwm_trace.eval.benchmark.runner import Progress
from cwm_trace.eval.benchmark.scoring import Answer, score_answers
from cwm_trace.eval.benchmark.stored import restore_prediction
from cwm_trace.eval.benchmark.tasks import Case, Task, find_tasks
from cwm_trace.eval.benchmark.truth import Truth, find_truth, start_of
from cwm_trace.records import Decoding, Event, Outcome, Problem, Trace
from cwm_trace.wire.context import MAIN, START_MARKER
from cwm_trace.wire.parse import parse_trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import TOKEN_EVENTS, Special

MODE = "free"
_ROWS = 16  # that are scored together
_EVENTS = tuple(token.value for token in TOKEN_EVENTS)


class CallRow(pydantic.BaseModel):
    """A CRUXEval program and what a model wrote after its seeded frame."""

    id: str | int
    code: str
    input: str
    expected: str | None = None
    generation: str


class PromptRow(pydantic.BaseModel):
    """A whole prompt, and what a model wrote after it."""

    id: str | int | None = None
    prompt: str
    completion: str


def rescore(
    path: str | os.PathLike[str],
    folder: Path,
    *,
    model: str = "",
    profile: FormatProfile = CWM,
    resume: bool = False,
    limit: int | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Run:
    """Score the generations of a JSON Lines file and log them in `folder`.

    A generation without an end token is whole if it ends where the entry returns, since many servers leave
    the token out; else it is truncated.

    Args:
        path: of the file.
        folder: for the log.
        model: who generated; the file's name if left out.
        profile: the reading of the format to assume.
        resume: go on with a log that is there.
        limit: rows at the most.
        report: is told after every few rows.

    Raises:
        CwmTraceError: the file cannot be read or a row is neither form; the log cannot be written.
    """
    where = os.fspath(path)
    name = model or Path(where).stem
    rows = _with_own_ids([_as_case(row, index) for index, row in enumerate(_read(where))][:limit])
    if not rows:
        raise CwmTraceError(f"{where} is empty: there is no generation in it")
    task = Task(f"rescore-{Path(where).stem}", tuple(case for case, _ in rows))
    header = Header(
        task=task.name,
        items=len(rows),
        item_hash=task.item_hash,
        published="cruxeval" if all(case.item.family == "cruxeval" for case, _ in rows) else "",
        model=name,
        decoding=Decoding(name),
        mode=MODE,
        profile=profile.name,
        profile_hash=profile.hash,
        prompt_hash="",
        python=platform.python_version(),
        cwm_trace=__version__,
        batch_size=1,
        max_frames=0,
        limit=limit,
        source=where,
    )
    predict = {
        case.item.id: lambda start, text=text: read_generation(text, start, profile, Decoding(name))
        for case, text in rows
    }
    return _score(task.cases, predict, folder / log_name(task.name, MODE, name), header, resume, report)


def rescore_log(
    path: Path, folder: Path, *, resume: bool = False, report: Callable[[Progress], None] = lambda _: None
) -> Run:
    """Score the predictions of a log of ours again, after a change of the metrics, and log them in `folder`.

    Raises:
        CwmTraceError: it is no log, its programs are not found any more, or it holds no predictions.
    """
    old = read_log(path)
    if not old.header.spec:
        raise CwmTraceError(f"{path} has no task to find again: rescore the file that it was made from")
    (task,) = find_tasks([old.header.spec], limit=old.header.limit)
    if task.item_hash != old.header.item_hash:
        raise CwmTraceError(f"{path} is of other programs than {old.header.spec} has now")
    stored = {line.id: line.stored for line in old.programs if line.stored is not None}
    if not stored:
        raise CwmTraceError(f"{path} holds no predictions: run the baselines again instead")
    predict = {
        name: lambda start, data=data: restore_prediction(data, start) for name, data in stored.items()
    }
    header = old.header.model_copy(
        update={
            "items": len(stored),
            "python": platform.python_version(),
            "cwm_trace": __version__,
            "source": os.fspath(path),
        }
    )
    cases = [case for case in task.cases if case.item.id in stored]
    return _score(cases, predict, folder / path.name, header, resume, report)


def read_texts(path: str, limit: int | None = None) -> Iterator[tuple[str, str, str]]:
    """Id, prompt and generation of each row of a file of generations, the prompt with the seeded CALL frame.

    Raises:
        CwmTraceError: the file cannot be read, or a row has neither form.
    """
    for index, row in enumerate(_read(path)):
        if limit is not None and index >= limit:
            return
        if isinstance(row, PromptRow):
            yield str(index if row.id is None else row.id), row.prompt, row.completion
            continue
        code = row.code.rstrip("\n")
        context = f"\n{code}\n{MAIN}{START_MARKER}\n    return f({row.input})\n"
        parts = (Special.BEGIN, Special.CONTEXT, context, Special.FRAME, Special.CALL, "{}", Special.ACTION)
        pieces = (*parts, f"{MAIN}\n", Special.FRAME)
        prompt = "".join(piece.value if isinstance(piece, Special) else piece for piece in pieces)
        yield str(row.id), prompt, row.generation


def is_log(path: str | os.PathLike[str]) -> bool:
    """Whether a file starts as a log of ours does."""
    try:
        with open(path, "rb") as file:
            return file.read(32).startswith(b'{"kind":"header"')
    except OSError:
        return False


def _score(
    cases: Sequence[Case],
    predict: Mapping[str, Callable[[Trace], Trace]],
    path: Path,
    header: Header,
    resume: bool,
    report: Callable[[Progress], None],
) -> Run:
    """Score what is there for each case and log it."""
    with LogWriter(path, header, resume=resume) as log:
        left = [case for case in cases if case.item.id not in log.done]
        for start in range(0, len(left), _ROWS):
            part = left[start : start + _ROWS]
            answers = []
            for case in part:
                found = _truth_of(case)
                if isinstance(found, Truth):
                    answers.append(Answer(case, found, predict[case.item.id](start_of(found.trace))))
                else:
                    log.write(ExcludedLine(id=case.item.id, reason=found))
            for line in score_answers(answers):
                log.write(line)
            report(Progress(start + len(part), len(left), header.task, header.mode, header.model))
    return read_log(path)


def _truth_of(case: Case) -> Truth | str:
    """The real execution, or why there is none."""
    if case.place == "none":
        return "the prompt's entry is no argument-less main that returns a call"
    return find_truth(case)


def read_generation(text: str, start: Trace, profile: FormatProfile, decoding: Decoding) -> Trace:
    """The prediction that a generated text is.

    Args:
        text: CWM text after the given frames.
        start: the program and its given frames.
        profile: how to read it.
        decoding: stands in the prediction.
    """
    predicted = parse_trace(text, program=start, profile=profile)
    outcome = predicted.outcome
    if text.strip() and not text.lstrip().startswith(_EVENTS):
        problem = Problem("tokens", len(start.frames), 0, "the text does not start with a frame")
        predicted = replace(predicted, problems=(*predicted.problems, problem))
    elif outcome is Outcome.INCOMPLETE:
        last = predicted.frames[-1]
        cut = any(problem.grade == "truncated" for problem in predicted.problems)
        at_end = not cut and last.event is Event.RETURN and last.depth == 0
        outcome = Outcome.RETURNED if at_end else Outcome.TRUNCATED
    return replace(predicted, outcome=outcome, mode=MODE, decoding=decoding)


def _read(path: str) -> Iterator[CallRow | PromptRow]:
    try:
        with jsonlines.open(path) as reader:
            for number, row in enumerate(reader, start=1):
                yield _validate(row, number, path)
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    except (jsonlines.InvalidLineError, UnicodeDecodeError) as error:
        raise CwmTraceError(f"{path} is not a JSON Lines file: {error}") from error


def _validate(row: Any, number: int, path: str) -> CallRow | PromptRow:
    kind = PromptRow if isinstance(row, dict) and "prompt" in row else CallRow
    try:
        return kind.model_validate(row)
    except pydantic.ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its form"
        raise CwmTraceError(
            f"{path}, line {number}: wrong in {where}: a row has id, code, input and generation, or prompt"
            " and completion"
        ) from error


def _with_own_ids(rows: list[tuple[Case, str]]) -> list[tuple[Case, str]]:
    """Ids that differ: several generations for one program are `a`, `a#2`, `a#3`."""
    counts: dict[str, int] = {}
    found = []
    for case, text in rows:
        name = case.item.id
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 1:
            case = replace(case, item=replace(case.item, id=f"{name}#{counts[name]}"))
        found.append((case, text))
    return found


def _as_case(row: CallRow | PromptRow, index: int) -> tuple[Case, str]:
    if isinstance(row, CallRow):
        source = row.code if row.code.endswith("\n") else row.code + "\n"
        call = f"f({row.input})"
        item = Item(str(row.id), source, call, "cruxeval", split="test", expected=row.expected)
        return Case(item, "sandbox"), row.generation
    name = str(index) if row.id is None else str(row.id)
    asked = parse_trace(row.prompt)
    lines = asked.files[0].text.split("\n")
    body = "\n".join(lines[asked.entry_line :]).strip()
    if asked.entry != "main" or not body.startswith("return ") or "\n" in body:
        return Case(Item(name, asked.files[0].text, "", "prompt", split="test"), "none"), row.completion
    source = "\n".join(lines[: asked.entry_line - 1]) + "\n"
    item = Item(name, source, body.removeprefix("return ").strip(), "prompt", split="test")
    return Case(item, "sandbox"), row.completion

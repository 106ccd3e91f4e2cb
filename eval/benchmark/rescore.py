"""Finished generations of others, scored as our own would be; and our own logs, scored again.

The real executions are recorded on the spot. See `generations` for the forms of the files.
"""

from __future__ import annotations

import ast
import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.execution import execute_answers
from cwm_trace.eval.benchmark.generations import Row, read_rows, read_tags
from cwm_trace.eval.benchmark.log import ExcludedLine, Header, LogWriter, Run, log_name, read_log
from cwm_trace.eval.benchmark.log_lines import Answer, score_answers
from cwm_trace.eval.benchmark.stored import Stored, restore_prediction
from cwm_trace.eval.benchmark.tasks import Case, Task, find_tasks
from cwm_trace.eval.benchmark.truth import Truth, find_truth, start_of
from cwm_trace.progress import OnProgress, Progress, say_nothing
from cwm_trace.records import Decoding, Event, Frame, Guess, Outcome, Slot, Trace
from cwm_trace.versions import VERSION
from cwm_trace.wire.context import MAIN, START_MARKER
from cwm_trace.wire.generation import Generation, read_generation
from cwm_trace.wire.parse import parse_trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import Special

_ROWS = 16  # that are scored together


Predict = Callable[[Trace], Generation]
"""Reads a text, given the program and its first frame."""


def rescore(
    path: str | os.PathLike[str],
    folder: Path,
    *,
    model: str = "",
    profile: FormatProfile = CWM,
    tasks: Sequence[str] = (),
    execute: bool = False,
    resume: bool = False,
    limit: int | None = None,
    report: OnProgress = say_nothing,
) -> Run:
    """Score the generations of a file and log them in `folder`.

    A file in which no text has a trace token is one of bare values: they are scored in mode `output`.

    Args:
        path: of the file.
        folder: for the log.
        model: who generated; the file's name if left out.
        profile: the reading of the format to assume.
        tasks: whose programs the rows name by id.
        execute: run answers that are no literals, in the sandbox.
        resume: go on with a log that is there.
        limit: programs at the most.
        report: is told after every few rows.

    Raises:
        CwmTraceError: the file cannot be read or none of its rows can be used; the log cannot be written.
    """
    where = os.fspath(path)
    name = model or Path(where).stem
    known = find_tasks(tasks) if tasks else []
    rows = read_rows(where, [case for task in known for case in task.cases])[:limit]
    mode = "output" if _are_values(rows) else "free"
    task = Task(f"rescore-{Path(where).stem}", tuple(row.case for row in rows))
    header = Header(
        task=task.name,
        items=len(rows),
        item_hash=task.item_hash,
        published="cruxeval" if all(row.case.item.family == "cruxeval" for row in rows) else "",
        model=name,
        decoding=Decoding(name),
        mode=mode,
        profile=profile.name,
        profile_hash=profile.hash,
        prompt_hash="",
        python=platform.python_version(),
        cwm_trace=VERSION,
        batch_size=1,
        max_frames=0,
        limit=limit,
        samples=max([1, *(len(row.texts) for row in rows)]),
        source=where,
    )

    def predict(row: Row, sample: int) -> Predict:
        fault = (row.faults or {}).get(sample, "")
        if fault:
            return lambda start: Generation(_nothing(start, mode, name), fault=fault)
        if mode == "output":
            return lambda start: _read_answer(row.texts[sample], start, name)
        return lambda start: read_text(row.texts[sample], start, profile, Decoding(name))

    jobs = [(row.case, [predict(row, sample) for sample in range(len(row.texts))]) for row in rows]
    return _score(jobs, folder / log_name(task.name, mode, name), header, execute, resume, report)


def rescore_log(
    path: Path,
    folder: Path,
    *,
    execute: bool = False,
    resume: bool = False,
    report: OnProgress = say_nothing,
) -> Run:
    """Score the predictions of a log of ours again, after a change of the metrics, and log them in `folder`.

    Raises:
        CwmTraceError: it is no log, its programs are not found any more, or it holds no predictions.
    """
    old = read_log(path)
    if not old.header.spec:
        raise CwmTraceError(f"{path} has no task to find again: rescore the file that it was made from")
    head = old.header
    (task,) = find_tasks([head.spec], limit=head.limit, ids=head.ids, shuffle_seed=head.shuffle_seed)
    if task.item_hash != old.header.item_hash:
        raise CwmTraceError(f"{path} is of other programs than {old.header.spec} has now")
    stored = {(line.id, line.sample): line.stored for line in old.programs if line.stored is not None}
    if not stored:
        raise CwmTraceError(f"{path} holds no predictions: run the baselines again instead")

    def restore(data: Stored) -> Predict:
        return lambda start: Generation(restore_prediction(data, start))

    jobs: list[tuple[Case, list[Predict | None]]] = []
    for case in task.cases:
        kept = [stored.get((case.item.id, sample)) for sample in range(old.header.samples)]
        if any(kept):
            jobs.append((case, [None if data is None else restore(data) for data in kept]))
    header = old.header.model_copy(
        update={
            "items": len(jobs),
            "python": platform.python_version(),
            "cwm_trace": VERSION,
            "source": os.fspath(path),
        }
    )
    return _score(jobs, folder / path.name, header, execute, resume, report)


def read_texts(path: str, limit: int | None = None) -> Iterator[tuple[str, str, str]]:
    """Id, prompt and generation of each row of a file of generations, the prompt with the seeded CALL frame.

    Raises:
        CwmTraceError: the file cannot be read, or no row can be used.
    """
    count = 0
    for row in read_rows(path):
        for sample, text in enumerate(row.texts):
            if row.case.refusal or (limit is not None and count >= limit):
                continue
            count += 1
            item = row.case.item
            code = item.source.rstrip("\n")
            context = f"\n{code}\n{MAIN}{START_MARKER}\n    return {item.call}\n"
            parts = (
                Special.BEGIN,
                Special.CONTEXT,
                context,
                Special.FRAME,
                Special.CALL,
                "{}",
                Special.ACTION,
            )
            pieces = (*parts, f"{MAIN}\n", Special.FRAME)
            prompt = "".join(piece.value if isinstance(piece, Special) else piece for piece in pieces)
            yield item.id if not sample else f"{item.id}#{sample + 1}", prompt, text


def is_log(path: str | os.PathLike[str]) -> bool:
    """Whether a file starts as a log of ours does."""
    try:
        with open(path, "rb") as file:
            return file.read(32).startswith(b'{"kind":"header"')
    except OSError:
        return False


def _score(
    jobs: Sequence[tuple[Case, Sequence[Predict | None]]],
    path: Path,
    header: Header,
    execute: bool,
    resume: bool,
    report: OnProgress,
) -> Run:
    """Score what is there for each case and log it."""
    with LogWriter(path, header, resume=resume) as log:
        left = [
            (case, texts)
            for case, texts in jobs
            if not all(
                log.done.has(case.item.id, number) for number, text in enumerate(texts) if text is not None
            )
            or (not texts and not log.done.has(case.item.id))
        ]
        for start in range(0, len(left), _ROWS):
            part = left[start : start + _ROWS]
            answers = []
            for case, texts in part:
                found = find_truth(case)
                if not isinstance(found, Truth):
                    log.write(ExcludedLine(id=case.item.id, reason=found))
                    continue
                given = start_of(found.trace)
                for sample, predict in enumerate(texts):
                    if predict is not None and not log.done.has(case.item.id, sample):
                        said = predict(given)
                        answers.append(
                            Answer(case, found, said.trace, sample, said.skipped, said.fault, said.is_other)
                        )
            lines = score_answers(answers)
            for line in execute_answers(answers, lines) if execute else lines:
                log.write(line)
            report(Progress(header.what, start + len(part), len(left)))
    return read_log(path)


def read_text(text: str, start: Trace, profile: FormatProfile, decoding: Decoding) -> Generation:
    """The prediction that a generated text is.

    A generation without an end token is whole if it ends where the entry returns, since many servers leave
    the token out; else it is truncated.

    Args:
        text: CWM text after the given frames, whatever stands around it.
        start: the program and its given frames.
        profile: how to read it.
        decoding: stands in the prediction.
    """
    read = read_generation(text, start, profile)
    predicted, outcome = read.trace, read.trace.outcome
    if not read.fault and outcome is Outcome.INCOMPLETE:
        last = predicted.frames[-1]
        cut = any(problem.grade == "truncated" for problem in predicted.guess.problems)
        at_end = not cut and last.event is Event.RETURN and last.depth == 0
        outcome = Outcome.RETURNED if at_end else Outcome.TRUNCATED
    guess = replace(predicted.guess, mode="free", decoding=decoding)
    return replace(read, trace=replace(predicted, outcome=outcome, guess=guess))


def _read_value(text: str) -> str:
    r"""The value that an answer names: bare, in a fence, in CRUXEval's tags, or as `assert f(…) == value`.

    >>> _read_value("[ANSWER] assert f(1) == {'a': 2} [/ANSWER]"), _read_value("```python\n[1]\n```")
    ("{'a': 2}", '[1]')
    """
    text = re.sub(r"\A\s*<think>.*?</think>", "", text, flags=re.DOTALL)
    text = read_tags(text)
    fenced = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    text = (fenced.group(1) if fenced else text).strip()
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    test = getattr(statement, "test" if isinstance(statement, ast.Assert) else "value", None)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        sides = (test.left, test.comparators[0])
        named = [not isinstance(side, ast.Call) for side in sides]
        if named != [True, True]:
            return ast.get_source_segment(text, sides[1] if named[1] else sides[0]) or text
    return text


def _are_values(rows: Sequence[Row]) -> bool:
    """Whether the texts of a file are values: none has a trace token, or is a trace that has lost them."""
    texts = [(row, text) for row in rows for text in row.texts if text.strip()]
    if not texts or any(row.are_values for row, _ in texts):
        return bool(texts)
    if any(token.value in text for _, text in texts for token in Special if token is not Special.END):
        return False
    return not any("missing" in _dry(row, text).fault for row, text in texts)


def _dry(row: Row, text: str) -> Generation:
    """What a text is, told without running its program."""
    item = row.case.item
    prompt = parse_trace(
        f"<|trace_context_start|>\n{item.source}{MAIN}{START_MARKER}\n    return {item.call}\n"
    )
    return read_generation(text, prompt)


def _nothing(start: Trace, mode: str, name: str) -> Trace:
    guess = Guess(mode, len(start.frames), Decoding(name))
    return replace(start, outcome=Outcome.INCOMPLETE, guess=guess)


def _read_answer(text: str, start: Trace, name: str) -> Generation:
    """The prediction that a bare value is: the RETURN of the entry."""
    value = _read_value(text)
    if not value:
        return Generation(_nothing(start, "output", name), fault="it is empty")
    lines = start.files[0].text.split("\n")
    line = start.entry_line + 1
    source = lines[line - 1] if line <= len(lines) else ""
    frame = Frame(Event.RETURN, line, source, value=Slot(value))
    ended = replace(_nothing(start, "output", name), frames=(*start.frames, frame), outcome=Outcome.RETURNED)
    return Generation(ended)

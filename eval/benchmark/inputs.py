"""Input prediction, as CRUXEval-I asks for it: given a function and what it returned, find such arguments.

Many may do, so that the answer is judged by running it: `f(predicted) == output`, in the sandbox. It must be
a call with literals alone: one that computes its arguments, or calls the function, says nothing.
"""

from __future__ import annotations

import ast
import platform
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.execution import function_of
from cwm_trace.eval.benchmark.generations import Row, read_tags
from cwm_trace.eval.benchmark.log import (
    ExcludedLine,
    FailedLine,
    Header,
    LogWriter,
    ProgramLine,
    Run,
    log_name,
    read_log,
)
from cwm_trace.eval.benchmark.log_lines import digest
from cwm_trace.eval.benchmark.tasks import Case, Task
from cwm_trace.eval.comparison.answers import NO_LITERAL, Verdict, read_literal
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.predict.protocol import RefusedError
from cwm_trace.predict.questions import Question, Writer
from cwm_trace.progress import OnProgress, Progress, say_nothing, tell_of_each
from cwm_trace.records import Decoding
from cwm_trace.tracer.sandbox import run_isolated
from cwm_trace.tracer.steps import Step
from cwm_trace.tracer.supervision import Bounds, SandboxError
from cwm_trace.versions import VERSION

MODE = "input"
_TOGETHER = 32  # answers that are asked for before they are judged and logged
_TASK = (
    "Below is a Python function, and what a call of it returned. Find arguments for which it returns that;"
    " any that do are right. They must be literals: nothing is computed."
)
_EXAMPLES = (
    ("def f(n):\n    return n + 1", "18", "f(17)"),
    ("def f(s, parts):\n    return s + '-'.join(parts)", "'x9a-b'", "f('x9', ['a', 'b'])"),
)


def ask_for_input(case: Case) -> Question | str:
    """The question that a program makes, or why it makes none."""
    function = function_of(case.item.call)
    if case.refusal or not function:
        return case.refusal or "it is no call of a function"
    if case.item.expected is None:
        return "its data set does not state what it returns"
    shown = [(*example, "f") for example in _EXAMPLES] + [
        (case.item.source, case.item.expected, "", function)
    ]
    parts = [f"# {_TASK}"]
    for code, output, call, name in shown:
        parts.append(f"\n{code.rstrip()}\n# {name}(??) == {output}\nassert {call or name + '('}")
        parts[-1] += f" == {output}\n" if call else ""
    name, code, output = function, case.item.source.rstrip(), case.item.expected
    chat = (
        f"{_TASK} Answer with the call alone, such as {name}(17), in the last line.\n\n"
        f"```python\n{code}\n```\n{name}(??) == {output}"
    )
    return Question("\n".join(parts), chat, (f"\n{function}(", "\nassert", "\ndef ", "\n#"))


def read_call(text: str, function: str) -> str:
    """The call that an answer names last; empty if there is none.

    >>> read_call("so it is: assert f([1, 2], 'a)') == 3", "f")
    "f([1, 2], 'a)')"
    >>> read_call("17, 'a'", "f"), read_call("17) == 18", "f")
    ("f(17, 'a')", 'f(17)')
    """
    text = read_tags(text.rpartition("</think>")[2])
    found, end = "", 0
    for match in re.finditer(rf"(?<![\w.]){re.escape(function)}\(", text):
        call = _call_at(text[match.start() :]) if match.start() >= end else ""
        if call:
            found, end = call, match.start() + len(call)
    if found:
        return found
    call = _call_at(f"{function}({text}") or _call_at(f"{function}({text})")
    return call if call and _has_literals_only(call) else ""


def _call_at(text: str) -> str:
    """The call that a text begins with."""
    for match in re.finditer(r"\)", text):
        try:
            node = ast.parse(text[: match.end()], mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return text[: match.end()] if isinstance(node, ast.Call) else ""
    return ""


def _has_literals_only(call: str) -> bool:
    """Whether every argument of a call is a literal."""
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    named = all(keyword.arg is not None for keyword in node.keywords)
    return named and all(
        read_literal(ast.get_source_segment(call, value) or "") is not NO_LITERAL for value in values
    )


def judge_inputs(case: Case, texts: Sequence[str], first: int = 0) -> list[ProgramLine]:
    """A line for each answer: right, wrong, no literals, or no call at all.

    Args:
        case: the program.
        texts: what was answered.
        first: number of the first sample.

    Raises:
        CwmTraceError: the sandbox cannot be set up here, or the program cannot be compiled.
    """
    function = function_of(case.item.call)
    calls = [read_call(text, function) for text in texts]
    run = [at for at, call in enumerate(calls) if call and _has_literals_only(call)]
    steps = [Step(f"{calls[at]} == ({case.item.expected})", is_expression=True) for at in run]
    results = run_isolated(case.item.source, steps, bounds=Bounds(seconds=10.0))
    right = {at: result.truth is True for at, result in zip(run, results, strict=True)}
    lines = []
    for at, call in enumerate(calls):
        if at in right:
            verdict, reason = "executed-right" if right[at] else "executed-wrong", ""
        elif call:
            verdict, reason = Verdict.NO_LITERAL.value, ""
        else:
            verdict, reason = Verdict.MISSING.value, f"there is no call of {function} in it"
        lines.append(
            ProgramLine(
                id=case.item.id,
                family=case.item.family,
                prompt=digest(f"{case.item.source}\n{case.item.expected}"),
                sample=first + at,
                result="unparsable" if reason else "complete",
                reason=reason,
                said=call or None,
                score=ProgramScore(MODE, "normal", 0, output=right.get(at, False), answer=verdict),
            )
        )
    return lines


def _judged(case: Case, texts: Sequence[str], first: int = 0) -> Sequence[ProgramLine | ExcludedLine]:
    """The lines of `judge_inputs`, or one that says why the program cannot be run."""
    try:
        return judge_inputs(case, texts, first)
    except SandboxError:
        raise
    except CwmTraceError as error:
        return [ExcludedLine(id=case.item.id, reason=str(error))]


@dataclass(frozen=True)
class _Source:
    """Where answers come from: a model that is asked, or a file."""

    name: str
    decoding: Decoding
    path: str = ""


def run_inputs(
    task: Task,
    writer: Writer,
    folder: Path,
    *,
    samples: int = 1,
    concurrency: int = 8,
    resume: bool = False,
    report: OnProgress = say_nothing,
) -> Run:
    """Ask a model for the inputs of a task, judge them, and log them in `folder`.

    A program whose request is refused is logged as failed, and asked for again by `resume`.

    Raises:
        CwmTraceError: the server does not answer; the log cannot be written.
    """
    source = _Source(writer.name, writer.decoding)
    path = folder / log_name(task.name, MODE, writer.name)
    with (
        LogWriter(path, _header(task, source, samples), resume=resume) as log,
        ThreadPoolExecutor(concurrency, "cwm-trace-input") as pool,
    ):
        left = [(c, n) for c in task.cases for n in range(samples) if not log.done.has(c.item.id, n)]
        for start in range(0, len(left), _TOGETHER):
            part = left[start : start + _TOGETHER]
            asked = [(case, sample, ask_for_input(case)) for case, sample in part]
            answers = pool.map(lambda job: _answer(writer, job[2], job[1]), asked)
            for (case, sample, _), said in zip(asked, answers, strict=True):
                if isinstance(said, str):
                    for line in _judged(case, [said], sample):
                        log.write(line)
                elif isinstance(said, RefusedError):
                    log.write(FailedLine(id=case.item.id, sample=sample, reason=str(said)))
                elif not log.done.has(case.item.id, sample):
                    log.write(ExcludedLine(id=case.item.id, reason=str(said)))
            report(Progress(f"{task.name}, {MODE}, {writer.name}", start + len(part), len(left)))
    return read_log(path)


def _answer(writer: Writer, question: Question | str, sample: int) -> str | CwmTraceError:
    """A text, or why there is none: the server refused, or there is no question."""
    if isinstance(question, str):
        return CwmTraceError(question)
    try:
        return writer.write(question, sample)
    except RefusedError as refused:
        return refused


def rescore_inputs(
    rows: Sequence[Row],
    path: str,
    folder: Path,
    *,
    model: str = "",
    resume: bool = False,
    report: OnProgress = say_nothing,
) -> Run:
    """Judge finished answers and log them in `folder`.

    Raises:
        CwmTraceError: the log cannot be written.
    """
    name = model or Path(path).stem
    task = Task(f"rescore-{Path(path).stem}", tuple(row.case for row in rows))
    samples = max([1, *(len(row.texts) for row in rows)])
    where = folder / log_name(task.name, MODE, name)
    with LogWriter(where, _header(task, _Source(name, Decoding(name), path), samples), resume=resume) as log:
        for row in tell_of_each(rows, f"{task.name}, {MODE}, {name}", report):
            question = ask_for_input(row.case)
            if isinstance(question, str) or not row.texts:
                if not log.done.has(row.case.item.id):
                    why = question if isinstance(question, str) else "it has no answer"
                    log.write(ExcludedLine(id=row.case.item.id, reason=why))
                continue
            if log.done.has_all(row.case.item.id, len(row.texts)):
                continue  # judging runs programs
            for line in _judged(row.case, row.texts):
                if not log.done.has(line.id, line.sample if isinstance(line, ProgramLine) else 0):
                    log.write(line)
    return read_log(where)


def _header(task: Task, source: _Source, samples: int) -> Header:
    return Header(
        task=task.name,
        items=len(task.cases),
        item_hash=task.item_hash,
        spec=task.spec,
        model=source.name,
        decoding=source.decoding,
        mode=MODE,
        profile="-",
        profile_hash="-",
        prompt_hash=digest(_TASK + repr(_EXAMPLES)),
        python=platform.python_version(),
        cwm_trace=VERSION,
        batch_size=1,
        max_frames=0,
        samples=samples,
        source=source.path,
    )

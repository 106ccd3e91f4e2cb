"""Answers that are no literals, run in the sandbox: `'a' * 3`, `set([1, 2])`, `Counter("aab")`.

Only on request. The answer is evaluated among the program's own definitions and compared with the call by
`==`, as the benchmarks' own scripts do. An answer that calls the function itself tells nothing, and is wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from cwm_trace.eval.benchmark.log import ProgramLine
from cwm_trace.eval.benchmark.log_lines import Answer
from cwm_trace.eval.comparison.answers import Verdict
from cwm_trace.tracer.sandbox import run_isolated
from cwm_trace.tracer.steps import Step
from cwm_trace.tracer.supervision import Bounds

_BOUNDS = Bounds(seconds=10.0)


def function_of(call: str) -> str:
    """The name of the function that is called; empty if it is no plain name."""
    try:
        node = ast.parse(call.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def execute_answers(answers: Sequence[Answer], lines: Sequence[ProgramLine]) -> list[ProgramLine]:
    """The lines, those whose answer is no literal with the verdict that running it gives.

    Raises:
        CwmTraceError: the sandbox cannot be set up here.
    """
    return [
        _executed(answer, line) if line.score.answer == Verdict.NO_LITERAL else line
        for answer, line in zip(answers, lines, strict=True)
    ]


def _executed(answer: Answer, line: ProgramLine) -> ProgramLine:
    item = answer.case.item
    is_right = line.said is not None and bool(item.call) and run_answer(item.source, item.call, line.said)
    verdict = "executed-right" if is_right else "executed-wrong"
    return line.model_copy(update={"score": replace(line.score, answer=verdict)})


def run_answer(source: str, call: str, said: str) -> bool:
    """Whether an expression is what a call gives, both run in the sandbox.

    Args:
        source: module text.
        call: such as `f(3)`.
        said: the expression.

    Raises:
        CwmTraceError: `source` cannot be compiled, or the sandbox cannot be set up here.
    """
    try:
        real = ast.parse(call.strip(), mode="eval").body
        answer = ast.parse(said.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    called = function_of(call)
    if any(isinstance(node, ast.Name) and node.id == called for node in ast.walk(answer)):
        return False
    test = ast.unparse(ast.Compare(real, [ast.Eq()], [answer]))
    (result,) = run_isolated(source, [Step(test, is_expression=True)], bounds=_BOUNDS)
    return result.truth is True

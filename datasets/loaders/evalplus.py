"""HumanEval+ and MBPP+ (Liu et al. 2023, arXiv 2305.01210): the base inputs of each task, and many more.

Rows of EvalPlus's own files have `base_input` and `plus_input`, lists of lists of arguments. Those on the hub
have them in the text of a test, as literals `inputs` and `results`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pydantic

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.published_rows import read_hub, read_models


class _Task(pydantic.BaseModel):
    task_id: str | int
    prompt: str = ""
    entry_point: str = ""
    canonical_solution: str = ""
    code: str = ""
    test: str = ""
    base_input: list[Any] | None = None
    plus_input: list[Any] | None = None


def load_humaneval_plus(path: str = "") -> Iterator[Item]:
    """Every call of HumanEval+, with the canonical solution; split `test`.

    Args:
        path: `HumanEvalPlus.jsonl`, or `.jsonl.gz`; empty: `evalplus/humanevalplus` on the hub.

    Raises:
        CwmTraceError: the file or the hub cannot be read, or a row is no task.
    """
    yield from _load(path, "humanevalplus")


def load_mbpp_plus(path: str = "") -> Iterator[Item]:
    """Every call of MBPP+, with the reference solution; split `test`.

    Args:
        path: `MbppPlus.jsonl`, or `.jsonl.gz`; empty: `evalplus/mbppplus` on the hub.

    Raises:
        CwmTraceError: the file or the hub cannot be read, or a row is no task.
    """
    yield from _load(path, "mbppplus")


def _load(path: str, family: str) -> Iterator[Item]:
    what = "a task of EvalPlus"
    tasks = read_models(path, _Task, what) if path else read_hub(f"evalplus/{family}", "test", _Task, what)
    for task in tasks:
        source = f"{task.code or task.prompt + task.canonical_solution}".replace("\r\n", "\n").rstrip() + "\n"
        function = task.entry_point or _last_function(source)
        number = str(task.task_id).rpartition("/")[2]
        seen: set[str] = set()
        for kind, place, arguments, result in _calls(task):
            call = f"{function}({', '.join(map(repr, arguments))})"
            if function and call not in seen:
                seen.add(call)
                name = f"{family}/{number}/{kind}/{place}"
                yield Item(name, source, call, family, split="test", expected=result)


def _calls(task: _Task) -> Iterator[tuple[str, int, list[Any], str | None]]:
    """Kind, number, arguments and result of each call."""
    for kind, inputs in (("base", task.base_input), ("plus", task.plus_input)):
        for place, arguments in enumerate(inputs or []):
            if isinstance(arguments, list | tuple):
                yield kind, place, list(arguments), None
    if task.base_input is not None or task.plus_input is not None:
        return
    found = _literals(task.test)
    inputs, results = found.get("inputs", []), found.get("results", [])
    has_results = isinstance(results, list) and len(results) == len(inputs)
    for place, arguments in enumerate(inputs if isinstance(inputs, list) else []):
        if isinstance(arguments, list | tuple):
            yield "plus", place, list(arguments), repr(results[place]) if has_results else None


def _literals(test: str) -> dict[str, Any]:
    """What a test's text assigns, where that is a literal."""
    try:
        nodes = [*ast.walk(ast.parse(test))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    return found


def _last_function(source: str) -> str:
    """The last function of a solution is the one that its tests call."""
    try:
        functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return functions[-1] if functions else ""

"""MBPP (Austin et al. 2021, arXiv 2108.07732): some 970 short functions, each with three assertions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pydantic

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.asserted_calls import find_calls
from cwm_trace.datasets.loaders.published_rows import read_hub, read_models

_TEST_TASKS = range(11, 511)
"""The published test split; the rest is `train` (with the prompts and validation tasks)."""


class _Task(pydantic.BaseModel):
    task_id: int
    code: str
    test_list: list[str]
    test_setup_code: str = ""
    test_imports: list[str] = []


def load_mbpp(path: str = "") -> Iterator[Item]:
    """Every call of an assertion with literal arguments, with the reference solution.

    Args:
        path: `mbpp.jsonl`, or the array of `sanitized-mbpp.json`; empty: `google-research-datasets/mbpp`
            on the hub.

    Raises:
        CwmTraceError: the file or the hub cannot be read, or a row is no task.
    """
    tasks = (
        read_models(path, _Task, "an MBPP task")
        if path
        else read_hub("google-research-datasets/mbpp", "test", _Task, "an MBPP task", configuration="full")
    )
    for task in tasks:
        setup = "\n".join(filter(None, [*task.test_imports, task.test_setup_code]))
        code = task.code.replace("\r\n", "\n").strip() + "\n"
        source = f"{setup.strip()}\n{code}" if setup.strip() else code
        for number, call in enumerate(_calls(task, code)):
            split = "test" if task.task_id in _TEST_TASKS else "train"
            yield Item(
                f"mbpp/{task.task_id}/{number}", source, call[0], "mbpp", split=split, expected=call[1]
            )


def _calls(task: _Task, code: str) -> Iterator[tuple[str, str | None]]:
    try:
        functions = [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
        test = "\n".join(task.test_list)
        for function in functions:
            yield from find_calls(test, function)
    except SyntaxError:
        return

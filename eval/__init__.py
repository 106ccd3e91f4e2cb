"""Predicted execution against real execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.log import Run, read_log, read_logs
    from cwm_trace.eval.benchmark.rescore import rescore
    from cwm_trace.eval.benchmark.results import Results, read_results
    from cwm_trace.eval.benchmark.runner import Settings, run_bench
    from cwm_trace.eval.benchmark.tasks import Case, Task, find_tasks, list_kinds
    from cwm_trace.eval.comparison.comparison import Comparison, compare
    from cwm_trace.eval.comparison.score import ProgramScore, score_program
    from cwm_trace.eval.format.readings import probe_format

__all__ = [
    "Case",
    "Comparison",
    "ProgramScore",
    "Results",
    "Run",
    "Settings",
    "Task",
    "compare",
    "find_tasks",
    "list_kinds",
    "probe_format",
    "read_log",
    "read_logs",
    "read_results",
    "rescore",
    "run_bench",
    "score_program",
]

__getattr__ = lazy_names(
    "cwm_trace.eval",
    {
        "benchmark.log": "Run read_log read_logs",
        "benchmark.rescore": "rescore",
        "benchmark.results": "Results read_results",
        "benchmark.runner": "Settings run_bench",
        "benchmark.tasks": "Case Task find_tasks list_kinds",
        "comparison.comparison": "Comparison compare",
        "comparison.score": "ProgramScore score_program",
        "format.readings": "probe_format",
    },
)

"""Attention: the interval operation, and the implementations a model can be told to use.

Importing `cwm_trace.model.attention.implementation` registers `attn_implementation="interval"` with
transformers; `cwm_trace.model.modeling` does so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cwm_trace.model.attention.backward import interval_attention_backward
from cwm_trace.model.attention.interval import (
    attend,
    attend_segments,
    count_traffic,
    interval_attention,
    merge,
)
from cwm_trace.model.attention.schedule import Plan, Schedule, StepPlan, Stores, plan_intervals

if TYPE_CHECKING:
    from cwm_trace.model.attention.implementation import attend_intervals, interval_mask

__all__ = [
    "Plan",
    "Schedule",
    "StepPlan",
    "Stores",
    "attend",
    "attend_intervals",
    "attend_segments",
    "count_traffic",
    "interval_attention",
    "interval_attention_backward",
    "interval_mask",
    "merge",
    "plan_intervals",
]


def __getattr__(name: str) -> object:
    """Import transformers for these two only (PEP 562)."""
    if name in ("attend_intervals", "interval_mask"):
        return getattr(import_module("cwm_trace.model.attention.implementation"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Attention: the interval operation, and the implementations a model can be told to use.

Importing this package registers `attn_implementation="interval"` with transformers.
"""

from cwm_trace.model.attention.backward import interval_attention_backward
from cwm_trace.model.attention.implementation import attend_intervals, interval_mask
from cwm_trace.model.attention.interval import (
    attend,
    attend_segments,
    count_traffic,
    interval_attention,
    merge,
)
from cwm_trace.model.attention.plan import Plan, StepPlan, plan_intervals
from cwm_trace.model.attention.schedule import Schedule, Stores

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

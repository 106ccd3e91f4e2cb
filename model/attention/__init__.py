"""Attention: the interval operation, and the implementations a model can be told to use."""

from cwm_trace.model.attention.backward import interval_attention_backward
from cwm_trace.model.attention.interval import attend, count_traffic, interval_attention, merge
from cwm_trace.model.attention.plan import Plan, plan_intervals

__all__ = [
    "Plan",
    "attend",
    "count_traffic",
    "interval_attention",
    "interval_attention_backward",
    "merge",
    "plan_intervals",
]

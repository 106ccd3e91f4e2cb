"""Sixty small programs: calls, loops, exceptions, generators, recursion."""

from __future__ import annotations

from functools import cache

from cwm_trace.api import trace_execution
from cwm_trace.records import Limits, Trace

TEMPLATES = [
    "def f(n):\n    total = {k}\n    for i in range(n):\n        total += i\n    return total\n",
    "def f(n):\n    s = 'a' * n\n    return g(s, {k})\n\ndef g(s, k):\n    return s + str(k)\n",
    "def f(n):\n    try:\n        return {k} // (n - 2)\n    except ArithmeticError:\n        return n\n",
    "def f(n):\n    return f(n - 1) + {k} if n > 0 else 0\n",
    "def f(n):\n    it = h(n)\n    return next(it) + {k}\n\ndef h(n):\n    yield n\n    yield n * n\n",
    "def f(n):\n    d = {{'k': {k}}}\n    d['n'] = n\n    del d['k']\n    return d\n",
]


@cache
def small_traces(count: int = 60, max_frames: int = 7) -> tuple[Trace, ...]:
    """Their traces, of at most so many frames."""
    found = []
    for number in range(count):
        source = TEMPLATES[number % len(TEMPLATES)].format(k=number)
        call = f"f({number // len(TEMPLATES) % 4})"
        found.append(trace_execution(source, call=call, limits=Limits(max_frames=max_frames)))
    return tuple(found)

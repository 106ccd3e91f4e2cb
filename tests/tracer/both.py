"""The two recorders, for tests of what they have in common and of where they differ."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cwm_trace import Trace, trace_execution
from cwm_trace.tracer.extension import IS_BUILT
from cwm_trace.tracer.recorders import VARIABLE
from tests.tracer.goldens import SAMPLES, alone

HAZARDS = Path(__file__).resolve().parent / "hazards"
ROOT = SAMPLES.parents[1]
NEEDS_C = pytest.mark.skipif(not IS_BUILT, reason="the compiled recorder is not built")
COUNT_THREADS = {"other_thread", "closure_and_thread"}
"""Hazards that show how many threads their process has started before."""
RECORDERS = ["python", "c"] if IS_BUILT else ["python"]

DISTORTED_BY_PYTHON = {"caught_recursion", "deep_value"}
"""Programs that tell the recorders apart: the one in Python takes stack, and ends with a RecursionError."""
if sys.version_info < (3, 13):
    DISTORTED_BY_PYTHON |= {"held_locals", "iterated_locals"}  # `frame.f_locals` is the dict of `locals()`
    DISTORTED_BY_PYTHON |= {"dropped_and_asked", "finalizer", "finalizer_order"}  # and keeps what it shows
    DISTORTED_BY_PYTHON |= {"closure_and_thread"}  # and is written back
else:
    DISTORTED_BY_PYTHON |= {"borrowed_cell", "borrowed_cell_outside"}  # which are not read there
DISTORTED_BY_PYTHON |= {"own_settrace"}  # sets None, which ends a recording in Python
DISTORTED_BY_PYTHON |= {"repr_locks"}  # ends in neither


@contextmanager
def use(recorder: str) -> Iterator[None]:
    """Let `auto` mean this recorder, in processes that are started meanwhile as well."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = recorder
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def by(recorder: str, target: Any, **options: Any) -> Trace:
    """Record a target with this recorder."""
    with alone(), use(recorder):
        trace = trace_execution(target, capture_output=True, **options)
    assert trace.run.recorder == recorder
    return trace

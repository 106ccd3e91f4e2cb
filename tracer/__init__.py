"""Run a program and record what happens in it: here, or in a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.tracer.program import Runnable
    from cwm_trace.tracer.sandbox import Isolated, record_isolated, run_isolated, trace_isolated
    from cwm_trace.tracer.session import Block, Ending, Memory, Options, record_program
    from cwm_trace.tracer.steps import Step, StepResult
    from cwm_trace.tracer.supervision import Bounds, SandboxError
    from cwm_trace.tracer.target import load_named, load_target

__all__ = [
    "Block",
    "Bounds",
    "Ending",
    "Isolated",
    "Memory",
    "Options",
    "Runnable",
    "SandboxError",
    "Step",
    "StepResult",
    "load_named",
    "load_target",
    "record_isolated",
    "record_program",
    "run_isolated",
    "trace_isolated",
]

__getattr__ = lazy_names(
    "cwm_trace.tracer",
    {
        "program": "Runnable",
        "sandbox": "Isolated record_isolated run_isolated trace_isolated",
        "session": "Block Ending Memory Options record_program",
        "steps": "Step StepResult",
        "supervision": "Bounds SandboxError",
        "target": "load_named load_target",
    },
)

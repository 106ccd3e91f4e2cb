"""Every request that is answered; importing this makes them known to `cwm_trace.debug.dap.adapter`."""

from __future__ import annotations

from cwm_trace.debug.dap.requests import breaking, lifecycle, looking, moving, writing

__all__ = ["breaking", "lifecycle", "looking", "moving", "writing"]

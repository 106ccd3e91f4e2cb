"""Every request that is answered."""

from __future__ import annotations

from cwm_trace.debug.dap.adapter import HANDLERS
from cwm_trace.debug.dap.requests import breaking, lifecycle, looking, moving, what_if

__all__ = ["HANDLERS", "breaking", "lifecycle", "looking", "moving", "what_if"]

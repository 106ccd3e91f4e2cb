"""Every verb; importing this makes them known to `cwm_trace.debug.console`."""

from __future__ import annotations

from cwm_trace.debug.verbs import looking, moving, predicting, sessions, stopping

__all__ = ["looking", "moving", "predicting", "sessions", "stopping"]

"""Every verb."""

from __future__ import annotations

from cwm_trace.debug.conversation import ALIASES, VERBS, find_verb
from cwm_trace.debug.verbs import looking, moving, predicting, sessions, stopping

__all__ = ["ALIASES", "VERBS", "find_verb", "looking", "moving", "predicting", "sessions", "stopping"]

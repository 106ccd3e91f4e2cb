"""Record real Python executions in CWM's format, predict them, and compare the two step by step."""

from __future__ import annotations

__version__ = "0.1.0.dev0"

"""Published results on CRUXEval-O (800 programs, greedy), to stand beside ours.

They are other people's, on all 800 programs and by their definitions: an orientation, not a comparison. At
this n an interval is about ±2.3 points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A result of others.

    Args:
        system: what was measured.
        metric: ours that comes nearest.
        low, high: percent; equal where one figure was published.
        source: who says so.
        note: how it differs from ours.
    """

    system: str
    metric: str
    low: float
    high: float
    source: str
    note: str = ""

    @property
    def text(self) -> str:
        """The figure as published."""
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


_REPORT = "CWM report (arXiv 2510.02387)"
_KTH = "ASSERT-KTH/cwm"
_THEIRS = "by a scorer of differences without resets: not our definition"

PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "cruxeval": (
        Published("CWM-32B, full trace", "output_accuracy", 88.0, 88.0, _REPORT),
        Published("CWM-32B, full trace", "output_accuracy", 87.25, 87.25, _KTH, "bfloat16"),
        Published("CWM-32B, full trace", "output_accuracy", 87.0, 87.0, _KTH, "4-bit"),
        Published("CWM-32B, full trace", "output_accuracy", 85.1, 85.1, "arXiv 2602.07672", "text prompt"),
        Published("CWM-32B, reasoning", "output_accuracy", 94.0, 94.0, _REPORT, "about"),
        Published("CWM-32B, direct answer", "output_accuracy", 83.4, 83.4, _REPORT),
        Published("CWM-32B, full trace", "valid_format", 99.6, 99.6, _KTH),
        Published("CWM-32B, full trace", "state_exact", 96.4, 96.9, _KTH, _THEIRS),
        Published("CWM-32B, full trace", "next_line_accuracy", 96.5, 98.7, _KTH, f"actions, {_THEIRS}"),
        Published("CWM-32B, full trace", "changed_slot_f1", 97.5, 98.1, _KTH, f"keys and values, {_THEIRS}"),
        Published(
            "Qwen2.5-Coder 3B, tuned on CWM-format traces",
            "output_accuracy",
            57.6,
            57.6,
            "reported for models of that size",
        ),
        Published(
            "Qwen2.5-Coder 1.5B, tuned on CWM-format traces",
            "output_accuracy",
            54.6,
            54.6,
            "reported for models of that size",
        ),
        Published("neural debugger 1.8B", "output_accuracy", 57.7, 57.7, "arXiv 2603.09951"),
    )
}
"""By the task that they are for."""

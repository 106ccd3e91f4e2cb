"""A predicted execution beside the real one: what is equal, and what every frame and program scores."""

from cwm_trace.eval.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]

"""What may be asked of a draw, whoever draws."""

from __future__ import annotations

from cwm_trace.errors import CwmTraceError


def check_sampling(temperature: float, top_p: float) -> None:
    """Refuse what makes no sense.

    Args:
        temperature: Divides the logits; 0 is greedy.
        top_p: Probability mass to draw from.

    Raises:
        CwmTraceError: The temperature is negative or `top_p` outside (0, 1].
    """
    if temperature < 0:
        raise CwmTraceError(f"temperature is {temperature}: give 0 for greedy or a positive number")
    if not 0 < top_p <= 1:
        raise CwmTraceError(f"top_p is {top_p}: give a number above 0 and up to 1")

"""What Python allows next: which line, event, name and value can follow a history of frames.

`analyse` reads the compiled program, never running it; a `Flow` follows a history and says what is `Legal`
after it. Standard library only. Sound above all: what a real execution does is always legal.
"""

from cwm_trace.flow.analysis import Analysis, analyse
from cwm_trace.flow.follower import FlowFollower
from cwm_trace.flow.history import Flow
from cwm_trace.flow.legal import ANYTHING, Legal, Line

__all__ = ["ANYTHING", "Analysis", "Flow", "FlowFollower", "Legal", "Line", "analyse"]

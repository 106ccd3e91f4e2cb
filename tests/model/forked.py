"""Two processes of a run over gloo, forked from one when all is imported, which costs most of the time."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn


def run_two(work: Callable[[int], object]) -> NoReturn:
    """Call `work` with its rank in this process and in a second one, and end with what came of both.

    Nothing may have been computed before: threads of PyTorch do not survive a fork. Without the interpreter's
    ending, since gloo's threads sometimes abort in it.
    """
    child = os.fork()
    rank = 0 if child else 1
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    code = 1
    try:
        work(rank)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0
    except BaseException:
        traceback.print_exc()
        if child:
            os.kill(child, signal.SIGKILL)
    os._exit(code)

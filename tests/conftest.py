"""For every test: Hypothesis profiles, one thread for NumPy, and interrupts that are heard."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

from tests.effort import register_profiles

register_profiles()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells set it for what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which processes of tests would inherit

"""Hypothesis profiles for every test, and one thread for NumPy: tests may run side by side."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

from tests.effort import register_profiles

register_profiles()

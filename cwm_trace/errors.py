"""Errors that are the user's to mend: one sentence each, exit code 2 on the command line."""

from __future__ import annotations


class CwmTraceError(Exception):
    """What was wrong, with the value, and what to do about it, in one sentence."""

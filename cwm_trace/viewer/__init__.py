"""Traces, predictions and reports as pages that a browser opens without a network."""

from cwm_trace.viewer.page import MAX_GUESSES, view_page
from cwm_trace.viewer.report import write_report

__all__ = ["MAX_GUESSES", "view_page", "write_report"]

"""Traces and predictions as one page that a browser opens without a network."""

from cwm_trace.viewer.page import MAX_GUESSES, view_page

__all__ = ["MAX_GUESSES", "view_page"]

"""Traces and comparisons for people to look at."""

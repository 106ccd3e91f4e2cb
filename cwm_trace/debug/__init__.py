"""The neural debugger: step through what a model believes, beside what is true.

A `Session` (`session.py`) holds executions as `Timeline`s, each with a position; `verbs/` is what one can
tell it in words. Nothing here has a screen, needs torch, or runs a value or a source of the program. What is
shown where (a terminal, an editor, an agent) is decided by whoever drives the session.
"""

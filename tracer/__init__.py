"""Run a program and record what happens in it."""

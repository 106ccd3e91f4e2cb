"""A program that removes the trace function."""
import sys


def run():
    a = 1
    sys.settrace(None)
    b = 2
    return "finished"


print(run())

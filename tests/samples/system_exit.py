"""`sys.exit` unwinds like any exception; `finally` runs."""
import sys


def leave(code):
    try:
        sys.exit(code)
    finally:
        print("bye")


leave(3)
print("unreached")

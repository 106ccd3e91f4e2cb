"""An exit handler, and an exit."""

import atexit
import sys
def bye(n):
    m = n + 1
    return m
atexit.register(bye, 3)
try:
    bye(1)
finally:
    sys.exit(0)

"""F_locals."""

import sys
def poke():
    sys._getframe(1).f_locals["a"] = 7
def f():
    a = 1
    poke()
    return a
f()

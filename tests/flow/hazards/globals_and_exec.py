"""Globals() and exec."""

y = 1
globals()["y"] = 2
exec("y = 3")
def f():
    a = 1
    exec("b = 2")
    eval("[c := 3]")
    locals()["d"] = 4
    vars()["e"] = 5
    return a
f()

"""A finalizer that calls."""

log = []
count = 0
class Loud:
    def __del__(self):
        global count
        count += 1
        log.append(self)
def f():
    a = Loud()
    a = None
    b = Loud()
    return 1
f()
x = Loud()
x = 3
pass

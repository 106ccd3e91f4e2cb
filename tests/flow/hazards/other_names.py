"""Functions that are called by another name."""

def f(n):
    return n
def g(n):
    return n + 1
def h(n):
    return n
class C:
    k = g
    h = staticmethod(h)
table = {"f": f}
x = table["f"](1)
y = C.h(2)
z = C().k if True else None
w = list(map(f, [1, 2]))
v = sorted([2, 1], key=lambda q: -q)
for u in map(lambda q: q, [1]): pass
e = max([1, 2], key=g)

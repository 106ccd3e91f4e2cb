"""Operators, attributes, conversions and comparisons that run code."""

class V:
    def __init__(self, n):
        self.n = n
    def __add__(self, o):
        return V(self.n + 1)
    def __bool__(self):
        return self.n > 1
    def __eq__(self, o):
        return True
    def __hash__(self):
        return 1
    def __getattr__(self, name):
        return name
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
    def __format__(self, spec):
        return "v"
    def __iter__(self):
        yield 1
        yield 2
    def __contains__(self, x):
        return False
    def __enter__(self):
        return self
    def __exit__(self, *a):
        return True
    def __getitem__(self, i):
        return i
    def __delitem__(self, i):
        pass
    @property
    def p(self):
        return 1
v = V(1)
w = v + v
if v:
    x = 1
elif w:
    x = 2
x = v == w
x = {v, w}
x = v.nothing
x = f"{v}"
a, b = v
x = 3 in v
del v[1]
x = v.p
with v: raise ValueError
with v:
    raise ValueError
x = [*v]
x = [y for y in v if v]
assert v == w, v
match v:
    case V(n=1):
        x = 5
    case _:
        x = 6

"""Exceptions that C swallows."""

class A:
    def __getattr__(self, name):
        raise AttributeError(name)
    def __len__(self):
        raise TypeError
a = A()
x = hasattr(a, "q")
y = getattr(a, "q", 3)
try:
    z = a.q
except AttributeError:
    z = None
w = list(iter([1]))

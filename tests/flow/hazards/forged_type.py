"""A class by the name of a built-in type."""

class int:
    n = 0
    def __repr__(self):
        return "0"
class Fake:
    n = 1
    def __repr__(self):
        return str(self.n)
Fake.__module__ = "builtins"
Fake.__qualname__ = "int"
f = Fake()
f.n = 2
f.n = 3

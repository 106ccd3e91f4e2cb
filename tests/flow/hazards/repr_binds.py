"""A repr that binds."""

class R:
    def __init__(self, store):
        self.store = store
    def __repr__(self):
        self.store()
        return "R"
def f():
    n = 0
    def store():
        nonlocal n
        n += 1
    r = R(store)
    a = 1
    b = 2
    return n
f()

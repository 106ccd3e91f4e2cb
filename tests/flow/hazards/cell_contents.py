"""A cell set through the closure."""

def f():
    a = 1
    def g():
        return a
    g.__closure__[0].cell_contents = 5
    b = a
    return b
f()

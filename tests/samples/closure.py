"""Closures: a free variable is a local, and late binding shows."""
def make():
    functions = []
    for i in range(2):
        def get(k=i):
            return i, k
        functions.append(get)
    return functions


print([f() for f in make()])

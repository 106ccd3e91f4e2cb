"""A generator that is closed while it is suspended, with a `finally` and without."""
def guarded():
    try:
        yield 1
    finally:
        print("cleaned up")


def bare():
    yield 2


g, h = guarded(), bare()
a, b = next(g), next(h)
g.close()
h.close()
print(a, b)

"""Delegation: `yield from` hands values, sent values and the result through."""
def inner():
    got = yield 1
    return got * 2


def outer():
    result = yield from inner()
    yield result


g = outer()
a = next(g)
b = g.send(21)
print(a, b)

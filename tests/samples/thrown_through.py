"""`throw` goes through a delegating generator to the one that handles it."""
def inner():
    try:
        yield 1
    except KeyError as error:
        got = error.args
    return got


def outer():
    first = yield from inner()
    second = (first, "after")
    return second


running = outer()
one = next(running)
try:
    running.throw(KeyError("k"))
except StopIteration as stop:
    result = stop.value
print(one, result)

"""The value that a generator returns travels in StopIteration."""
def once():
    yield "a"
    return "b"


g = once()
first = next(g)
try:
    next(g)
except StopIteration as stop:
    second = stop.value
print(first, second)

"""Positional-only and keyword-only parameters."""
def scale(x, /, factor=1, *, offset=0):
    return x * factor + offset


print(scale(2), scale(2, 3), scale(2, offset=1))

"""Docstrings and bare constants make no line events, `pass` does."""
def run():
    """A docstring."""
    "another string"
    ...
    pass
    x = 1
    x
    return x


print(run())

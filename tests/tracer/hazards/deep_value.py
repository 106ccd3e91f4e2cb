"""A list nested 3,000 deep; code without a file makes it, so that the trace stays short."""
from functools import reduce


def run():
    x = eval("reduce(lambda inner, _: [inner], range(3000), [])")
    y = 1
    x = x[0]
    return y


print(run())

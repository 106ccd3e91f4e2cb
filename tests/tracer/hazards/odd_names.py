"""Names that are no strings, in the module and in a class body."""
globals()[1] = 2
x = 3


class A:
    locals()[4] = 5
    y = 6


print(x, A.y)

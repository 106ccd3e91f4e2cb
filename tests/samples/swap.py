"""Swapping, and targets that are bound from left to right."""
a, b = 1, 2
a, b = b, a
i = 0
x = [0, 0]
i, x[i] = 1, 5
x[0], x[1] = x[1], x[0]
print(a, b, x)

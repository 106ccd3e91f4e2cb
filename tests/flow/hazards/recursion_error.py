"""A caught RecursionError."""

def f(n):
    return f(n + 1) + 1
x = 1
try:
    f(0)
except RecursionError:
    x = 2
y = 3

"""Defaults are evaluated once, when the function is defined."""
def make():
    return []


def push(x, into=make()):
    into.append(x)
    return into


a = push(1)
b = push(2)
print(a is b, b)

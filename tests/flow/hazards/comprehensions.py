"""Comprehensions that hide a variable."""

def f(n):
    x = 1
    y = [x for x in range(n)]
    z = {x: [x for x in range(x)] for x in range(n)}
    return (x, y, [(q := k) for k in z])
def h(n):
    x = 1
    fs = [lambda: x for x in range(n)]
    v = [i() for i in fs]
    return x
def g(n):
    x = 1
    try:
        w = [1 // x for x in range(n)]
    except ZeroDivisionError:
        w = x
    return w
x = 5
y = [x for x in range(3)]
z = f(2)
v = g(2), h(2)
s = {y for y in "ab" if (t := y)}

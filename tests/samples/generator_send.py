"""A generator that is sent values."""
def average():
    total, n = 0, 0
    mean = None
    while True:
        x = yield mean
        total += x
        n += 1
        mean = total / n


g = average()
next(g)
a = g.send(10)
b = g.send(20)
print(a, b)

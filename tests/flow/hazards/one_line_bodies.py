"""One-line bodies."""

def f(n): return n
def g(n): yield n; n = 2; yield n
def h(n):
    for i in range(n): n = i; f(n)
    while n: n -= 1
    with open("/dev/null") as o: n = 1
    try: f(1 / 0)
    except ZeroDivisionError: n = 2
    if n: n = 3
    else: n = 4
    return n
x = [f(i) for i in g(1)]; y = h(3)
z = (lambda a: a + 1)(2)
class K: a = 1; b = [a for _ in range(2)]

"""A generator resumed elsewhere, closed, thrown into, left."""

def gen(n):
    try:
        while n:
            got = yield n
            n -= 1
    except ValueError:
        yield -1
    finally:
        n = 0
def use(g):
    return next(g)
g = gen(3)
use(g)
use(g)
g.send(4)
g.throw(ValueError)
g.close()
h = gen(2)
next(h)
h = None
k = (x for x in gen(2))
next(k)
del k
def delegating():
    x = yield from gen(2)
    y = yield from (i for i in range(2))
    return 5
for z in delegating(): pass
d = delegating()
next(d)
try:
    d.throw(KeyError)
except KeyError as error:
    x = error
def never():
    yield 1
n = never()
try:
    n.throw(OSError)
except OSError:
    pass
n = never()
n.close()

def patient():
    try:
        yield 1
    except KeyError:
        yield 2


def waiting():
    x = yield from patient()
    return x


w = waiting()
next(w)
w.throw(KeyError)
next(w, None)


def swallowing():
    try:
        yield 1
    except KeyError:
        pass


def outer():
    yield from swallowing()
    yield 3


o = outer()
next(o)
o.throw(KeyError)
o.close()

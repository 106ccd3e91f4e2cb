"""An exception thrown into a suspended generator, caught there once and once not."""
def patient():
    try:
        yield 1
    except ValueError as error:
        yield str(error)
    yield 3


g = patient()
a = next(g)
b = g.throw(ValueError("come in"))
try:
    g.throw(KeyError("out"))
except KeyError as error:
    c = repr(error)
print(a, b, c)

"""`contextlib.contextmanager`: the generator is resumed by library code."""
from contextlib import contextmanager


@contextmanager
def tag(name):
    print("<" + name + ">")
    try:
        yield name.upper()
    except ValueError:
        print("caught")
    print("</" + name + ">")


with tag("a") as upper:
    print(upper)
with tag("b"):
    raise ValueError

"""An exception whose `__str__` fails, and an object whose `__repr__` does."""
class Odd(Exception):
    def __str__(self):
        raise TypeError("no text")


class Shy:
    def __repr__(self):
        raise ValueError("not now")


shy = Shy()
try:
    raise Odd("a")
except Odd:
    seen = True
print(seen)

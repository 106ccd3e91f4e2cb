"""A `__repr__` and a `__str__` that return a str whose methods fail."""
class Text(str):
    def isascii(self):
        raise ValueError

    def encode(self, *args):
        raise ValueError

    def __eq__(self, other):
        raise ValueError

    __hash__ = str.__hash__


class Odd(Exception):
    def __repr__(self):
        return Text("odd")

    def __str__(self):
        return Text("odd")


def run():
    try:
        raise Odd
    except Odd as odd:
        kept = odd
    return "finished"


print(run())

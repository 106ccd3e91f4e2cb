"""A class body and an `exec` whose namespaces are dicts that have something to say when they are listed."""
import sys


class Told(dict):
    def items(self):
        print("listed")
        raise KeyboardInterrupt

    keys = values = __iter__ = items


class Prepared(type):
    @classmethod
    def __prepare__(cls, name, bases):
        return Told()

    def __new__(cls, name, bases, namespace):
        return super().__new__(cls, name, bases, {"size": len(namespace)})


class Box(metaclass=Prepared):
    first = 1
    second = first + 1


def run():
    held = 1
    exec("more = held + 1", globals(), Told(held=2))
    exec("more = held + 1\nmost = more", globals(), sys._getframe().f_locals)
    return held


print(run(), Box.size >= 4)

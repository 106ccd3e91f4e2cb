"""An object that is gone on the line that drops it."""
import weakref


class Thing:
    pass


def run():
    thing = Thing()
    there = weakref.ref(thing)
    x = 1
    del thing; gone = there() is None
    return gone


print(run())

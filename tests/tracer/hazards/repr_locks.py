"""A `__repr__` that takes a lock which the program holds."""
import threading

lock = threading.Lock()


class Locked:
    def __repr__(self):
        with lock:
            return "Locked"


def run():
    c = Locked()
    with lock:
        x = 1
    return x


print(run())

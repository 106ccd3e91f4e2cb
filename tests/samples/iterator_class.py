"""A class with `__iter__` and `__next__` in a `for`: StopIteration in both frames."""
class Countdown:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        if self.n == 0:
            raise StopIteration
        self.n -= 1
        return self.n


def run():
    total = 0
    for n in Countdown(2):
        total += n
    return total


print(run())

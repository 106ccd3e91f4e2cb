"""A class as a decorator, and a decorated class."""
class Counted:
    def __init__(self, f):
        self.f = f
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.f(*args)

    def __repr__(self):
        return "Counted"


def mark(cls):
    cls.marked = True
    return cls


@Counted
def double(x):
    return 2 * x


@mark
class Box:
    pass


print(double(2), double.calls, Box.marked)

"""`match` on a class with `__match_args__`."""
class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __repr__(self):
        return f"Point({self.x}, {self.y})"


def where(p):
    match p:
        case Point(0, 0):
            return "origin"
        case Point(x, y=0):
            return x
        case Point():
            return "plane"


print(where(Point(0, 0)), where(Point(3, 0)), where(Point(1, 1)))

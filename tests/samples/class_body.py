"""A class body is a frame; its variables become attributes."""
class Circle:
    """A class with a docstring."""

    sides = 0
    name = "circle"

    def area(self, r):
        return 3 * r * r

    double = sides * 2 + 1


c = Circle()
print(c.area(2), Circle.double)

"""Operators that run Python code, reflected ones included."""
class Vector:
    def __init__(self, *xs):
        self.xs = xs

    def __add__(self, other):
        if not isinstance(other, Vector):
            return NotImplemented
        return Vector(*(a + b for a, b in zip(self.xs, other.xs)))

    def __rmul__(self, k):
        return Vector(*[k * x for x in self.xs])

    def __repr__(self):
        return f"Vector{self.xs}"


v = Vector(1, 2)
w = 2 * (v + v)
print(w)

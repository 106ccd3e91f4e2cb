"""`super()` gives the class body a `__class__` cell."""
class Base:
    def __init__(self, x):
        self.x = x


class Child(Base):
    def __init__(self, x):
        super().__init__(x + 1)
        self.y = x

    def __repr__(self):
        return f"Child({self.x}, {self.y})"


child = Child(1)
print(child)

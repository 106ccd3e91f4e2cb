"""`__init_subclass__` and `__set_name__` run when a class body ends."""
class Field:
    def __set_name__(self, owner, name):
        self.name = name


class Base:
    known = []

    def __init_subclass__(cls, tag="none"):
        Base.known.append((cls.__name__, tag))


class Child(Base, tag="first"):
    field = Field()


print(Base.known, Child.__dict__["field"].name)

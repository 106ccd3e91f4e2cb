"""A `__repr__` that changes what the program computes."""
class Counted:
    n = 0

    def __repr__(self):
        Counted.n += 1
        return "Counted"


def run():
    c = Counted()
    a = 1
    b = 2
    return Counted.n


print(run())

"""A class whose own attributes cannot be read."""
class Meta(type):
    def __getattribute__(cls, name):
        raise ValueError(name)


class Odd(metaclass=Meta):
    def __repr__(self):
        raise TypeError


def run():
    c = Odd()
    x = 1
    return "finished"


print(run())

"""A `__repr__` that calls itself for ever."""
class Loop:
    def __repr__(self):
        return repr(self)


def run():
    c = Loop()
    a = 1
    return "finished"


print(run())

"""Texts that are not valid Unicode."""
class Odd:
    def __repr__(self):
        return "odd\ud800"


def run():
    s = "\ud800abc"
    o = Odd()
    y = 1
    return len(s)


print(run())

"""The string `..` and an object whose repr is `..`: not the mark for "unchanged"."""
class Dots:
    def __repr__(self):
        return ".."


def run(x):
    y = ".."
    z = Dots()
    return y


print(run(".."))

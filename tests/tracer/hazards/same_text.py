"""Two types with one repr."""
class One:
    def __repr__(self):
        return "1"


def run():
    x = One()
    x = 1
    return x


print(run())

"""`==` that gives no truth value, as arrays do."""
class Vague:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return Vague(0)

    def __bool__(self):
        raise ValueError("ambiguous")

    def __repr__(self):
        return f"Vague{self.n}"


def run():
    v = Vague(1)
    w = 1
    v = Vague(2)
    return "finished"


print(run())

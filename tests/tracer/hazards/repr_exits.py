"""A `__repr__` that raises SystemExit."""
class Exit:
    def __repr__(self):
        raise SystemExit("from repr")


def run():
    c = Exit()
    a = 1
    return "finished"


print(run())

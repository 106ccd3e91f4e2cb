"""A program that keeps what `locals()` gave it."""
def run():
    x = 1
    d = locals()
    x = 2
    y = 3
    return sorted(d)


print(run())

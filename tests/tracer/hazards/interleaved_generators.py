"""Two activations of one generator, in turns."""
def count(n):
    here = n
    while here < n + 2:
        yield here
        here += 1


def run():
    out = []
    for a, b in zip(count(10), count(20)):
        out.append(a + b)
    return out


print(run())

"""A generator that is left suspended and dropped: it is closed where the last reference goes."""
def items():
    try:
        yield 1
        yield 2
    finally:
        print("dropped")


def first():
    for item in items():
        return item


print(first())

"""`nonlocal`: the inner function changes what the outer one sees."""
def counter():
    n = 0

    def step():
        nonlocal n
        n += 1
        return n

    step()
    step()
    return n


print(counter())

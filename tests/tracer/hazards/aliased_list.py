"""A list that changes through its only name, in place."""
def run():
    a = [1]
    b = a
    b.append(2)
    a[0] = 3
    b = None
    return a


print(run())

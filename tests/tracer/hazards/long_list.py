"""A change near the end of a long list."""
def run():
    a = list(range(5000))
    a[4000] = -1
    b = 1
    return b


print(run())

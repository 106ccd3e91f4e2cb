"""Values that are equal but not the same: 1, True, 1.0, and 0.0, -0.0."""
def run():
    x = 1
    x = True
    x = 1.0
    z = 0.0
    z = -0.0
    d = {"a": 1, "b": 2}
    d = {"b": 2, "a": 1}
    return x, z, d


print(run())

"""Values that are equal and differ."""
def run():
    x = 1
    x = True
    x = 1.0
    x = -0.0
    x = 0.0
    return x


print(run())

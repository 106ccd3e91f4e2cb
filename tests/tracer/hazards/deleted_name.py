"""A variable that is deleted."""
def run():
    x = 1
    del x
    y = 2
    return y


print(run())

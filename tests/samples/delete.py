"""`del`: names, items and attributes; a name that is unbound and bound again."""
def run():
    x = 1
    y = [1, 2, 3]
    del x
    z = 0
    del y[0]
    x = 2
    return x, y, z


print(run())

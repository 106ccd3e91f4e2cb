"""`global`: a function changes a module variable."""
level = 0


def rise(by):
    global level
    level += by


rise(2)
rise(3)
print(level)

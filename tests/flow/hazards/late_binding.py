"""A variable whose first binding comes late."""

def f(n):
    if n:
        late = 1
    def g():
        nonlocal late
        late = 2
    g()
    del late
    try:
        late
    except NameError:
        late = 3
    return late
f(0)
f(1)

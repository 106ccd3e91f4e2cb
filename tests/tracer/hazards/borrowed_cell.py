"""A comprehension's variable has the name of one that a nested function captures."""
def run():
    x, i = 10, 1
    read = lambda: x + i
    one = [x for x in range(5)
           if x % 2
           if x % 3]
    two = {x: [i for i in range(x)]
           for x in one}
    try:
        [1 // x
         for x in (1, 0)]
    except ZeroDivisionError:
        x += 1
    return one, two, read(), x


print(run())

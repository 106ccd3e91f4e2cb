"""`for` with an `else`, with and without `break`."""
def find(values, wanted):
    for i, value in enumerate(values):
        if value == wanted:
            break
    else:
        i = None
    return i


print(find([5, 6], 6), find([5], 7))

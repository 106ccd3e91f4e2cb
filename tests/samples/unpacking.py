"""Tuple, nested and starred unpacking."""
def parts(values):
    first, *middle, last = values
    (a, b), c = middle[:2], last
    head, *_ = *values, first
    return first, middle, last, a, b, c, head


print(parts([1, 2, 3, 4]))

"""Callbacks from C: `reduce`, `map`, `filter`, `list.sort` with `cmp_to_key`."""
from functools import cmp_to_key, reduce


def add(a, b):
    return a + b


total = reduce(add, [1, 2, 3])
doubled = list(map(lambda x: 2 * x, filter(lambda x: x > 1, [1, 2])))
numbers = [1, 3, 2]
numbers.sort(key=cmp_to_key(lambda a, b: b - a))
print(total, doubled, numbers)

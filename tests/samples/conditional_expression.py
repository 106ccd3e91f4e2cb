"""Conditional expressions and short circuits."""
def pick(n):
    kind = "odd" if n % 2 else "even"
    size = n > 1 and "big" or "small"
    return kind, size


print(pick(1), pick(2))

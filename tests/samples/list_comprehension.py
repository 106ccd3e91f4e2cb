"""A list comprehension: a frame of its own up to 3.11, inlined from 3.12 (PEP 709)."""
def squares(n):
    k = 10
    values = [k + x * x for x in range(n) if x != 1]
    return values


print(squares(3))

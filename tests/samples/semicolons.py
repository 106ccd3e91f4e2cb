"""Several statements on one line make one line event."""
a = 1; b = 2; a += b
if a > b: b = a; a = 0
print(a, b)

"""Slices that read, replace and delete."""
a = list(range(6))
b = a[1:4]
a[::2] = "xyz"
c = a[::-1]
del a[1:3]
a[1:1] = [9, 9]
print(a, b, c)

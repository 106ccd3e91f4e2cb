"""A named tuple."""
from collections import namedtuple

Point = namedtuple("Point", "x y")
p = Point(1, y=2)
q = p._replace(x=5)
x, y = q
print(q, x + y)

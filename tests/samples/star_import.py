"""A star import of a sibling module: frames of two files."""
from sibling_names import *

value = shared + 1
print(double(value), sorted(name for name in ("shared", "double", "_hidden") if name in globals()))

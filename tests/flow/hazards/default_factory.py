"""A default factory."""

from collections import defaultdict
d = defaultdict(lambda: 7)
x = d["a"]
y = d["a"] + d["b"]

"""Comprehensions in a module and in a class body, which CPython 3.12 inlines (gh-108732)."""
pairs = [(a, b) for a in "xy" for b in (1, 2)]


class Grid:
    cells = [
        n
        for n in range(3)
    ]


print(pairs, Grid.cells)

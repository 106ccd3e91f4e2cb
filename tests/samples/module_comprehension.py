"""A comprehension in a module and in a class body."""
pairs = [(a, b) for a in "xy" for b in (1, 2)]


class Grid:
    side = 2
    cells = [n for n in range(side)]


print(pairs, Grid.cells)

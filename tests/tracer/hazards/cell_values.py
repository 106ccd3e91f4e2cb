"""Variables whose values are cells, in a comprehension that is part of its module too."""
def outer(x):
    return lambda: x


cell = outer(3).__closure__[0]
names = [type(one).__name__
         for one in outer(4).__closure__]
print(cell.cell_contents, names)

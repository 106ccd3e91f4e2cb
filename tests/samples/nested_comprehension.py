"""A comprehension in a comprehension; its target hides a variable of the function."""
def table(x):
    rows = [[x * y for y in (1, 2)] for x in (3, 4)]
    return x, rows


print(table("kept"))

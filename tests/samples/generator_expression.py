"""A generator expression: its own frame on every version."""
def any_even(values):
    return any(value % 2 == 0 for value in values)


print(any_even([1, 4, 5]))

"""A dict comprehension over two targets."""
def invert(d):
    return {value: key for key, value in d.items()}


print(invert({"a": 1, "b": 2}))

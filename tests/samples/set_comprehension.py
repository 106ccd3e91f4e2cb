"""A set comprehension."""
def parities(values):
    return {value % 2 for value in values}


print(parities([3, 4, 5]))

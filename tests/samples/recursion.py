"""A function that calls itself: an activation for each call."""
def factorial(n):
    if n < 2:
        return 1
    return n * factorial(n - 1)


print(factorial(3))

"""Two decorators, one with arguments, on several lines."""
def plus(n):
    def decorate(f):
        return lambda x: f(x) + n

    return decorate


@plus(
    100
)
@plus(10)
def one(x):
    return x + 1


print(one(0))

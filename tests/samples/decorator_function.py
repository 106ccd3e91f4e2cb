"""A decorated function; its CALL has the decorator's line."""
def twice(f):
    def wrapper(x):
        return f(f(x))

    return wrapper


@twice
def add_one(x):
    return x + 1


print(add_one(1))

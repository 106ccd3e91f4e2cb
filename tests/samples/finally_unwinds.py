"""An exception that passes through a `finally` and a handler that raises it again."""
def inner():
    try:
        raise ValueError("through")
    finally:
        x = 1


def outer():
    try:
        inner()
    except ValueError:
        y = 2
        raise


try:
    outer()
except ValueError as error:
    seen = str(error)
print(seen)

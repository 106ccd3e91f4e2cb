"""`return` in nested `finally` blocks; the last one wins and drops the exception."""
def inner():
    try:
        return "try"
    finally:
        x = "finally"


def outer():
    try:
        try:
            raise KeyError("lost")
        finally:
            y = inner()
    finally:
        return y + "!"


print(outer())

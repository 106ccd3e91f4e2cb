"""An exception in a called function, the right handler, and the name that vanishes after it."""
def risky(n):
    return 10 // n


def run(n):
    try:
        value = risky(n)
    except TypeError:
        value = "type"
    except (ZeroDivisionError, KeyError) as error:
        value = str(error)
    return value


print(run(5), run(0))

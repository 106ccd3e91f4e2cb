"""An exception that is handled, with a `finally`."""
def bad(key):
    raise KeyError(key)


def run():
    try:
        bad(1)
    except KeyError as error:
        value = error.args[0]
    finally:
        last = 2
    return value


print(run())

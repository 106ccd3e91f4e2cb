"""`raise … from …` sets `__cause__`."""
class AppError(Exception):
    pass


def load():
    try:
        return [][0]
    except IndexError as error:
        raise AppError("no data") from error


try:
    load()
except AppError as error:
    cause = repr(error.__cause__)
print(cause)

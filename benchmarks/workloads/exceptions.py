"""Exceptions raised and caught, half of the time."""


class ParseError(ValueError):
    pass


def parse(token):
    if not token.isdigit():
        raise ParseError("bad token: " + token)
    return int(token)


def parse_or(token, default):
    try:
        value = parse(token)
    except ParseError:
        value = default
    finally:
        done = True
    return value if done else None


def run():
    good = 0
    for index in range(500):
        token = str(index) if index % 2 else f"x{index}"
        value = parse_or(token, -1)
        if value >= 0:
            good += 1
    return good

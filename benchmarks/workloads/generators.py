"""A pipeline of generators: resumes and yields."""


def numbers(n):
    index = 0
    while index < n:
        yield index
        index += 1


def evens(source):
    for value in source:
        if value % 2 == 0:
            yield value


def squares(source):
    for value in source:
        square = value * value
        yield square


def run():
    total = 0
    for value in squares(evens(numbers(1_500))):
        total += value
    return total

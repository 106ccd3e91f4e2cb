"""A tight loop over integers: what a line event costs when almost nothing changes."""


def run():
    total = 0
    index = 0
    while index < 20_000:
        total += index * 3 % 7
        index += 1
    return total

"""A RecursionError that the program catches."""
def down(n):
    return down(n + 1)


def run():
    try:
        down(0)
    except RecursionError:
        pass
    after = 1
    return "finished"


print(run())

"""A value that does not equal itself."""
def run():
    n = float("nan")
    for i in range(3):
        m = i
    return "finished"


print(run())

"""Lines joined with a backslash."""
def run(a, b):
    if a and \
            b:
        return a + \
            b
    return None


print(run(1, 2), run(0, 1))

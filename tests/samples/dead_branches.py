"""Conditions that the compiler knows."""
def run():
    if __debug__:
        x = 1
    while True:
        if not x:
            break
        x = 0
    if 0:
        x = 2
    return x


print(run())

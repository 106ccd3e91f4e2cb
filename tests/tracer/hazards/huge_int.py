"""An int of more digits than `repr` writes (gh-95778)."""
def run():
    x = 10**5000
    y = [x]
    return x % 7


print(run())

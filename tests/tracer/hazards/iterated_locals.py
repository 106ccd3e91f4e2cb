"""A loop over `locals()` (gh-105256)."""
def run(a, b):
    names = []
    for name, value in locals().items():
        names.append(name)
    return names


print(run(1, 2))

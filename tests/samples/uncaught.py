"""An uncaught exception leaves every frame."""
def inner(d):
    return d["missing"]


def outer():
    d = {"key": 1}
    return inner(d) + 1


print("before")
outer()

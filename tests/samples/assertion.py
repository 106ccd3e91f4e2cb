"""`assert` that holds and one that fails with a message."""
def half(n):
    assert n % 2 == 0, f"{n} is odd"
    return n // 2


print(half(4))
try:
    half(3)
except AssertionError as error:
    message = str(error)
print(message)

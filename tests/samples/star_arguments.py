"""`*args` and `**kwargs` on both sides of a call."""
def show(first, *rest, **named):
    return first, rest, named


parts = (2, 3)
extra = {"b": 5}
result = show(1, *parts, a=4, **extra)
print(result)

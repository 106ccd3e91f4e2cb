"""A call over several lines: the line events zig-zag."""
def add(a, b, c=0):
    return a + b + c


result = add(
    add(1, 2),
    add(
        3,
        4,
    ),
    c=5,
)
print(result)

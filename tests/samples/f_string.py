"""Formatted strings, nested and over several lines."""
def label(x, width):
    text = f"{x:>{width}}|{x!r}|{x + 1 = }"
    long = (
        f"{x}"
        f"-{width}"
    )
    return text, long


print(label(3, 4))

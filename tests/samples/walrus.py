"""Assignment expressions, in a condition and in a comprehension."""
def first_long(words):
    if (n := len(words)) > 2:
        found = [last := word for word in words if len(word) > n]
        return n, last, found
    return n


print(first_long(["a", "bbbb", "cc"]), first_long([]))

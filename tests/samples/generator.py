"""A generator: CALL on every resume, RETURN on every yield, None when it is exhausted."""
def count(n):
    i = 0
    while i < n:
        yield i
        i += 1


total = 0
for value in count(3):
    total += value
print(total)

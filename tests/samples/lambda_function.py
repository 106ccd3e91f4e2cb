"""Lambdas, one of them called on the line that makes it."""
add = lambda a, b=2: a + b
pick = [lambda: 1, lambda: 2]
print(add(1), pick[1](), (lambda x: x * x)(7))

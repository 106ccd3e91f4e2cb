"""Augmented assignment: lists change in place, tuples and numbers do not."""
a = b = [1]
a += [2]
t = u = (1,)
t += (2,)
n = 7
n //= 2
n **= 2
d = {"k": 1}
d["k"] += 1
print(a is b, t is u, n, d)

"""Blocks on the line of their header."""
def sign(x): return -1 if x < 0 else 1
for i in (1, 2): last = i
while last: last -= 1
if i: j = sign(i)
class Empty: pass
print(i, j, last)

"""StopIteration of a class's __next__."""

class C:
    n = 0
    def __iter__(self):
        return self
    def __next__(self):
        self.n += 1
        if self.n > 2:
            raise StopIteration
        return self.n
for x in C():
    y = x
for x in C(): y = x
z = list(C())
a, b = C()
w = sum(C())

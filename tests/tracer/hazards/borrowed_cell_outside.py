"""As `borrowed_cell`, in a module and in a class body, where the comprehensions are part of these."""
numbers = (0, 1, 2)
late = [lambda: x for x in numbers]
plain = [x
         for x in numbers]


class Table:
    rows = (1, 2)
    late = [lambda: x for x in rows]
    plain = [x
             for x in rows]
    size = 2


odd = [any(x % d for d in (2, 3))
       for x in numbers]
try:
    [1 // x
     for x in (1, 0)]
except ZeroDivisionError:
    end = [f() for f in late]
print(plain, Table.plain, odd, end)

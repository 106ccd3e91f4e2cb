"""Finally, return, break, continue, bare raise."""

def f(n):
    for i in range(n):
        try:
            if i == 0:
                continue
            if i == 1:
                raise KeyError(i)
            if i == 2:
                break
            return i
        except KeyError:
            try:
                raise
            except KeyError as e:
                pass
        finally:
            n = n
    else:
        return "else"
    try:
        try:
            raise ValueError
        finally:
            n = 1
    except (
        KeyError,
        ValueError,
    ):
        n = 2
    try:
        return n
    finally:
        return n + 1
f(1)
f(2)
f(3)
f(5)
def g():
    try:
        1 / 0
    finally:
        x = 1
try: g()
except ZeroDivisionError: pass
def h():
    while True:
        try: return 1
        finally: break
h()

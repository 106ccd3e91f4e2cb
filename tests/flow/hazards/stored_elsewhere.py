"""Global and nonlocal stored elsewhere."""

n = 0
def bump():
    global n, m
    n += 1
    m = n
    k = 0
    def inner():
        nonlocal k
        k += 1
        if k < 3:
            inner()
        del_me()
    def del_me():
        nonlocal k
        k += 1
    inner()
    return k
bump()
bump()

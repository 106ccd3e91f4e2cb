"""Threads."""

import threading
n = 0
def work(k):
    global n
    for i in range(k):
        n += i
def gen():
    yield 1
    yield 2
g = gen()
next(g)
t = [threading.Thread(target=work, args=(k,)) for k in range(3)]
for one in t: one.start()
for one in t: one.join()
u = threading.Thread(target=lambda: next(g))
u.start()
u.join()

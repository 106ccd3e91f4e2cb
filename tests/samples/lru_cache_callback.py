"""`functools.lru_cache`: a hit is no call."""
from functools import lru_cache


@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(fib(3), fib.cache_info().hits)

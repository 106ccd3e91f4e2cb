"""Recursive Fibonacci numbers: calls and returns."""


def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


def run():
    return fibonacci(16)

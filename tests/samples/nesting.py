"""Functions in functions in classes in functions."""
def outer(a):
    class Middle:
        b = a + 1

        def method(self):
            def inner(c):
                return [a + self.b + c + d for d in (0, 1)]

            return inner(10)

    return Middle().method()


print(outer(1))

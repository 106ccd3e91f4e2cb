"""A class body whose namespace is no dict."""
class Namespace:
    def __init__(self):
        self.names = {}

    def __getitem__(self, name):
        return self.names[name]

    def __setitem__(self, name, value):
        self.names[name] = value


class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        return Namespace()

    def __new__(mcs, name, bases, namespace):
        return type.__new__(mcs, name, bases, dict(namespace.names))


class A(metaclass=Meta):
    x = 1
    y = x + 1


print(A.y)

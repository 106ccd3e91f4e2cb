"""A metaclass with `__prepare__`, `__new__` and `__call__`."""
class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        return {"given": 1}

    def __new__(mcs, name, bases, namespace):
        namespace["added"] = namespace["given"] + 1
        return super().__new__(mcs, name, bases, namespace)

    def __call__(cls, value):
        return (cls.__name__, value)


class Thing(metaclass=Meta):
    own = 3


print(Thing.added, Thing(5))

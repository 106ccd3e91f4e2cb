"""A descriptor: attribute access runs Python code."""
class Positive:
    def __set_name__(self, owner, name):
        self.slot = "_" + name

    def __get__(self, obj, kind=None):
        return getattr(obj, self.slot, 0)

    def __set__(self, obj, value):
        setattr(obj, self.slot, abs(value))


class Account:
    balance = Positive()


a = Account()
before = a.balance
a.balance = -5
print(before, a.balance)

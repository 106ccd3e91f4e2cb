"""An object that answers every attribute, `__class__` included, with an error or a side effect."""
class Silent:
    def __getattribute__(self, name):
        print("asked for", name)
        raise ValueError(name)

    def __repr__(self):
        return "Silent"


x = Silent()
y = 1
print("finished")

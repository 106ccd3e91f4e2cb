"""`__getattr__` runs for missing attributes only; `hasattr` swallows its error in C."""
class Lazy:
    known = 1

    def __getattr__(self, name):
        if name.startswith("no"):
            raise AttributeError(name)
        return name.upper()


lazy = Lazy()
print(lazy.known, lazy.other, hasattr(lazy, "nothing"))

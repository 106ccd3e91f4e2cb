"""An enumeration: the class body's namespace is the enum's own mapping."""
from enum import Enum, auto


class Color(Enum):
    RED = auto()
    BLUE = "b"

    def shout(self):
        return self.name + "!"


c = Color("b")
print(c.shout(), c is Color.BLUE)

"""An object shown as a number changes without a store."""

class Box:
    def __init__(self, value):
        self.value = value
    def __repr__(self):
        return str(self.value)
def bump(box):
    box.value += 1
b = Box(0)
bump(b)
t = (b, 1)
bump(b)
pass

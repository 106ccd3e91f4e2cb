"""`self` whose `__repr__` needs what `__init__` has not set yet."""
class Node:
    def __init__(self, value):
        self.value = value
        self.next = None

    def __repr__(self):
        return f"Node({self.value!r})"


def run():
    n = Node(41)
    return n.value + 1


print(run())

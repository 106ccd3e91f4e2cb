"""`__repr__` does not work yet while `__init__` runs."""
class Node:
    def __init__(self, value):
        self.value = value
        self.next = None

    def __repr__(self):
        return f"Node({self.value!r})"


node = Node(41)
print(node)

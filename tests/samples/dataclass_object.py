"""A dataclass: its generated methods are not the user's code, `__post_init__` is."""
from dataclasses import dataclass, field


@dataclass(order=True)
class Item:
    price: int
    name: str = "none"
    tags: list = field(default_factory=list)

    def __post_init__(self):
        self.price += 1


items = [Item(3, "b"), Item(1)]
items.sort()
print(items)

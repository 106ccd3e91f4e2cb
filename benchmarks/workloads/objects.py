"""Objects with a `__repr__` of their own, which a tracer has to call to see a change."""

from dataclasses import dataclass


@dataclass
class Item:
    name: str
    price: float
    amount: int = 1

    def total(self):
        return self.price * self.amount


class Cart:
    def __init__(self, owner):
        self.owner = owner
        self.items = []

    def add(self, item):
        for known in self.items:
            if known.name == item.name:
                known.amount += item.amount
                return known
        self.items.append(item)
        return item

    def total(self):
        total = 0.0
        for item in self.items:
            total += item.total()
        return round(total, 2)

    def __repr__(self):
        return f"Cart({self.owner}, {len(self.items)} items)"


def run():
    total = 0.0
    for number in range(20):
        cart = Cart(f"user{number}")
        for step in range(20):
            cart.add(Item(f"item{step % 8}", 1.5 * step, step % 3 + 1))
        total += cart.total()
    return total

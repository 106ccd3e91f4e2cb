"""Class bodies, metaclasses, properties of classes."""

class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases, **k):
        return {"given": 1}
    def __new__(mcs, name, bases, ns, **k):
        return super().__new__(mcs, name, bases, ns)
    def __init_subclass__(cls):
        pass
class A(
    metaclass=Meta,
    x=1,
):
    a: int = 1
    b = [a, a]
    def f(self):
        return __class__
    for i in range(2):
        c = i
class B(A):
    def __init_subclass__(cls):
        cls.n = 1
class D(B):
    pass
from enum import Enum, auto
class E(Enum):
    P = auto()
    Q = auto()
from dataclasses import dataclass, field
@dataclass
class F:
    a: int = 1
    b: list = field(default_factory=lambda: [1])
    def __post_init__(self):
        self.a += 1
f = F()
g = F(2)
h = f == g

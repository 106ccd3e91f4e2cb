"""Objects by their state, without a line of their code being run."""

from __future__ import annotations

import abc
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import sys
import types
import weakref
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwm_trace import trace_execution
from cwm_trace.tracer.values import Describer

ran: list[str] = []


def shown(value: object, depth: int = 1) -> str:
    ran.clear()
    text = Describer(expand_objects=depth).text(value)
    assert ran == [], text
    return text


class Loud(type):
    """A metaclass that notes whatever it is asked."""

    def __getattribute__(cls, name: str) -> Any:
        ran.append(f"metaclass {name}")
        return super().__getattribute__(name)


class Reader:
    def __get__(self, instance: object, owner: object) -> str:
        ran.append("descriptor")
        return "read"

    def __set__(self, instance: object, value: object) -> None:
        ran.append("set")


class Item:
    def __init__(self, n: int) -> None:
        self.n = n

    def __repr__(self) -> str:
        ran.append("repr")
        return "ITEM"

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        ran.append("eq")
        return self is other

    def __str__(self) -> str:
        ran.append("str")
        return "item"

    def __len__(self) -> int:
        ran.append("len")
        return 3

    def __iter__(self) -> Any:
        ran.append("iter")
        return iter(())


class Cart(metaclass=Loud):
    __slots__ = ("_Cart__key", "__dict__", "count", "never")
    reader = Reader()

    def __init__(self) -> None:
        self.count = 2
        self.__key = "k"
        self.total = 3
        self.items = [Item(1), (Item(2),)]

    @property
    def price(self) -> int:
        ran.append("property")
        return 1

    def __getattribute__(self, name: str) -> Any:
        ran.append("getattribute")
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        ran.append("getattr")
        return 1

    def __dir__(self) -> list[str]:
        ran.append("dir")
        return []

    @property
    def __class__(self) -> Any:
        ran.append("class")
        return int

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


def test_nothing_of_the_users_is_run() -> None:
    assert shown(Cart()) == "Cart(__key='k', count=2, total=3, items=[<Item object>, (<Item object>,)])"
    assert shown(Cart(), 2) == "Cart(__key='k', count=2, total=3, items=[Item(n=1), (Item(n=2),)])"


T = TypeVar("T")


class Stack(list[T], Generic[T]):
    def __iter__(self) -> Any:
        ran.append("iter")
        return super().__iter__()

    def __len__(self) -> int:
        ran.append("len")
        return 0


class Named(dict[str, int]):
    def __init__(self, name: str) -> None:
        super().__init__(a=1)
        self.name = name

    def items(self) -> Any:
        ran.append("items")
        return {}.items()


class Money(int):
    def __repr__(self) -> str:
        ran.append("repr")
        return "money"


class LateError(Exception):
    def __init__(self, item: Item) -> None:
        super().__init__("late", item)
        self.code = 5

    def __str__(self) -> str:
        ran.append("str")
        return "late"


class Level(enum.Enum):
    LOW = 1
    OBJECT = Item(1)

    def __repr__(self) -> str:
        ran.append("repr")
        return "level"


class Pair(NamedTuple):
    one: int
    two: object


@dataclasses.dataclass
class Point:
    x: int
    y: Any


@dataclasses.dataclass(slots=True)
class Tight:
    x: int


class Base(abc.ABC):  # noqa: B024
    def __init__(self) -> None:
        self.base = 1


class Derived(Base):
    def __init__(self) -> None:
        super().__init__()
        self.own = 2


class Bare: ...


class Masked:
    """Has a dictionary, and calls something else so."""

    def __init__(self) -> None:
        self.real = 1

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        ran.append("dict")
        return {"false": 1}


class Masking:
    __slots__ = ("real",)
    __dict__ = {"false": 1}

    def __init__(self) -> None:
        self.real = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Stack([1, Item(2)]), "Stack([1, Item(n=2)])"),
        (Named("x"), "Named({'a': 1}, name='x')"),
        (Money(5), "Money(5)"),
        (LateError(Item(1)), "LateError('late', Item(n=1), code=5)"),
        (ValueError(Item(1)), "ValueError(Item(n=1))"),
        (KeyError("a"), "KeyError('a')"),
        (Level.LOW, "<Level.LOW: 1>"),
        (Pair(1, Item(1)), "Pair(one=1, two=Item(n=1))"),
        (Point(1, Item(1)), "Point(x=1, y=<Item object>)"),
        (Tight(1), "Tight(x=1)"),
        (Derived(), "Derived(base=1, own=2)"),
        (Bare(), "Bare()"),
        (Masked(), "Masked(real=1)"),
        (Masking(), "Masking(real=1)"),
        (object(), "<object object>"),
        ({Item(1): {Item(2)}}, "{Item(n=1): {Item(n=2)}}"),
        (collections.deque([Item(1)], 3), "deque([Item(n=1)], maxlen=3)"),
        (collections.defaultdict(list, a=[1]), "defaultdict(<class 'list'>, {'a': [1]})"),
        (frozenset([1]), "frozenset({1})"),
        (set(), "set()"),
        (Item, "<class 'Item'>"),
        (Cart, "<class 'Cart'>"),
        (len, "<built-in function len>"),
        (sys, "<module 'sys'>"),
        (pathlib.PurePosixPath("/x"), "PurePosixPath('/x')"),
        (datetime.date(2024, 1, 2), "datetime.date(2024, 1, 2)"),
        (decimal.Decimal("1.5"), "Decimal('1.5')"),
        (fractions.Fraction(1, 2), "Fraction(1, 2)"),
        (range(3), "range(0, 3)"),
        ((i for i in "ab"), "<generator object <genexpr>>"),
    ],
)
def test_what_is_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_libraries_that_hold_the_users_objects() -> None:
    assert shown(types.SimpleNamespace(a=Item(1))) == "SimpleNamespace(a=<Item object>)"
    assert shown(collections.UserList([Item(1)]), 2) == "UserList(data=[Item(n=1)])"
    for value in (
        collections.UserList([Item(1)]),
        collections.ChainMap({"a": Item(1)}),
        types.MappingProxyType({"a": Item(1)}),
        weakref.ref(Item(1)),
        Item(1).__len__,
        (x for x in [Item(1)]),
        {"a": Item(1)}.values(),
    ):
        assert "ITEM" not in shown(value)


def test_cycles_end() -> None:
    point = Point(1, None)
    point.y = [point]
    assert shown(point, 5) == "Point(x=1, y=[...])"
    items: list[Any] = [1]
    items.append((items, Item(1)))
    assert shown(items) == "[1, ([...], Item(n=1))]"


def test_a_value_nested_too_deeply_or_too_wide() -> None:
    value: Any = Item(1)
    for _ in range(100_000):
        value = [value]
    assert shown(value) == "<unrepresentable list: RecursionError>"
    while type(value) is list:
        value = value[0]
    assert len(shown([Bare() for _ in range(50_000)])) < 200_000


def test_an_attribute_with_a_name_that_no_file_can_hold() -> None:
    bare = Bare()
    bare.__dict__["a\ud800"] = 1
    bare.__dict__[3] = 4  # type: ignore[index]
    assert shown(bare) == "Bare(a\\ud800=1)"


@settings(max_examples=60)
@given(st.recursive(st.integers() | st.text() | st.none(), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_plain_values_are_shown_as_ever(value: object) -> None:
    assert shown(value) == Describer().text(value)
    assert shown([value, Bare()]) == repr([value])[:-1] + ", Bare()]"


def test_a_trace_shows_and_names_it() -> None:
    source = "class Cart:\n    def __init__(self):\n        self.total = 0\n    def add(self, n):\n"
    source += "        self.total += n\n        return self.total\n"
    trace = trace_execution(source, call="Cart().add(3)", expand_objects=1)
    states = [slot.text for frame in trace.frames for slot in frame.changed.values() if slot]
    assert states == ["Cart()", "Cart(total=0)", "3", "Cart(total=3)"]
    assert trace.capture.expand_objects == 1
    assert trace_execution(source, call="Cart().add(3)").capture.expand_objects == 0

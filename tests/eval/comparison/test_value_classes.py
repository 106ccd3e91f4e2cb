from __future__ import annotations

import pytest

from cwm_trace import trace_execution
from cwm_trace.eval.comparison.value_classes import size_bin, value_kind
from cwm_trace.records import Slot

SOURCE = """\
import collections, functools, itertools
def f():
    kinds = [
        True, 1, 2 ** 70, -(2 ** 70), 1.0, 'a', b'a', bytearray(b'a'), [], (), {}, set(), frozenset(), None,
        len, f, 'a'.join, int, functools.partial(len), iter([]), iter('a'), iter({}), zip(), map(str, []),
        (i for i in ()), itertools.count(), collections.Counter(), collections.OrderedDict(),
        collections.deque(), collections.defaultdict(int), object(), ..., 1j, range(3), slice(1),
    ]
    for value in kinds:
        pass
"""
KINDS = [
    *("bool", "int", "big int", "big int", "float", "str", "bytes", "bytes", "list", "tuple", "dict", "set"),
    *("set", "None", "callable", "callable", "callable", "callable", "callable", "iterator", "iterator"),
    *("iterator", "iterator", "iterator", "iterator", "iterator", "dict", "dict", "list", "dict", "object"),
    *("object", "object", "object", "object"),
]


def test_kinds_are_those_of_recorded_types() -> None:
    trace = trace_execution(SOURCE, call="f()")
    recorded = [frame.changed["value"] for frame in trace.frames if "value" in frame.changed]
    assert [value_kind(slot) for slot in recorded] == KINDS


def test_nothing_known_is_unknown() -> None:
    assert value_kind(None) == value_kind(Slot("1")) == "unknown"


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (None, "-"),
        (0, "0"),
        (1, "1"),
        (2, "2-3"),
        (7, "4-7"),
        (511, "256-511"),
        (512, "512+"),
        (10**9, "512+"),
    ],
)
def test_bins_are_powers_of_two(size: int | None, name: str) -> None:
    assert size_bin(size) == name

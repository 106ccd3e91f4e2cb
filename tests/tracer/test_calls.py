"""`trace_execution` of everything that can be called: as what it is, or refused in one sentence."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar

import pytest

from cwm_trace import CwmTraceError, Event, Limits, Outcome, Trace, record, trace_execution

T = TypeVar("T")


def entered(trace: Trace) -> list[str]:
    """Names on the first lines of all activations."""
    seen = {frame.activation: frame for frame in reversed(trace.frames)}
    return [seen[number].source.strip().partition("(")[0] for number in sorted(seen)]


async def nap(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


async def nap_twice(n: int) -> int:
    return sum(await asyncio.gather(nap(n), nap(n)))


def squares(n: int) -> Iterator[int]:
    for i in range(n):
        yield i * i


async def ticks(n: int) -> AsyncIterator[int]:
    for i in range(n):
        await asyncio.sleep(0)
        yield i


def test_a_coroutine_function_is_awaited() -> None:
    trace = trace_execution(nap, 3)
    assert (trace.entry, trace.outcome, trace.warnings) == ("nap", Outcome.RETURNED, ())
    assert trace.value is not None
    assert trace.value.text == "4"
    both = trace_execution(nap_twice, 3)
    assert entered(both).count("async def nap") == 2


def test_an_exception_out_of_a_coroutine_or_a_generator() -> None:
    async def fail() -> None:
        raise ValueError("on purpose")

    def fail_late() -> Iterator[int]:
        yield 1
        raise ValueError("on purpose")

    assert trace_execution(fail).outcome is Outcome.RAISED
    assert trace_execution(fail_late).outcome is Outcome.RAISED


def test_generators_are_exhausted() -> None:
    trace = trace_execution(squares, 3)
    values = [f.value.text for f in trace.frames if f.event is Event.RETURN and f.value]
    assert values == ["0", "1", "4", "None"]
    assert trace.outcome is Outcome.RETURNED
    later = trace_execution(ticks, 2)
    values = [f.value.text for f in later.frames if f.event is Event.RETURN and f.depth == 0 and f.value]
    assert values[-1] == "None"
    assert {"0", "1"} <= set(values)


@functools.singledispatch
def kind(value: object) -> str:
    return "object"


@kind.register
def _(value: int) -> str:
    return "int"


def test_of_a_single_dispatch_function_what_is_dispatched_to_is_recorded() -> None:
    assert [trace_execution(kind, value).value.text for value in (1, "a")] == [  # type: ignore[union-attr]
        "'int'",
        "'object'",
    ]
    decorated = record(kind)
    assert (decorated(True), decorated(None)) == ("int", "object")
    assert [len(trace.frames) for trace in decorated.traces] == [3, 3]  # type: ignore[attr-defined]


class Kinds:
    @functools.singledispatchmethod
    def name(self, value: object) -> str:
        return "object"

    @name.register
    def _(self, value: int) -> str:
        number = value + 1
        return f"int before {number}"

    @name.register
    @classmethod
    def _(cls, value: list) -> str:  # type: ignore[type-arg]
        return f"list of {cls.__name__}"


@pytest.mark.parametrize(
    ("value", "text", "frames"), [(1, "'int before 2'", 4), ([], "'list of Kinds'", 3), ("a", "'object'", 3)]
)
def test_of_a_single_dispatch_method_as_well(value: object, text: str, frames: int) -> None:
    trace = trace_execution(Kinds().name, value)
    assert trace.value is not None
    assert (trace.value.text, len(trace.frames), trace.warnings) == (text, frames, ())


@contextlib.contextmanager
def held(value: int) -> Iterator[int]:
    try:
        yield value
    finally:
        left.append(value)


@contextlib.asynccontextmanager
async def held_later(value: int) -> AsyncIterator[int]:
    await asyncio.sleep(0)
    yield value


left: list[int] = []


def test_a_context_manager_that_a_generator_makes_is_entered_and_left() -> None:
    assert trace_execution(held, 3).frames[-1].source.strip() == "left.append(value)"
    assert trace_execution(held_later, 3).frames[-1].source.strip() == "yield value"
    decorated = record(held)
    with decorated(4) as value, contextlib.suppress(KeyError), decorated(5):
        assert (value, len(decorated.traces)) == (4, 0)  # type: ignore[attr-defined]
        raise KeyError
    outcomes = [trace.outcome for trace in decorated.traces]  # type: ignore[attr-defined]
    assert (outcomes, left) == ([Outcome.RAISED, Outcome.RETURNED], [3, 5, 4])


def test_an_event_loop_that_is_running() -> None:
    async def use() -> None:
        trace_execution(nap, 1)

    with pytest.raises(CwmTraceError, match="nap is asynchronous and an event loop is already running"):
        asyncio.run(use())


class Meta(type):
    def __call__(cls, *args: Any) -> Any:
        made = super().__call__(*args)
        made.counted = True
        return made


class Counted(metaclass=Meta):
    def __init__(self, n: int) -> None:
        self.n = n


class Single:
    def __new__(cls, n: int) -> Single:
        return super().__new__(cls)

    def __init__(self, n: int) -> None:
        self.n = n
        self.double = self.twice()

    def twice(self) -> int:
        return 2 * self.n

    @classmethod
    def make(cls, n: int) -> Single:
        return cls(n)

    @staticmethod
    def half(n: int) -> float:
        return n / 2

    def __call__(self, n: int) -> int:
        return n


@dataclasses.dataclass
class Point:
    x: int

    def __post_init__(self) -> None:
        self.y = self.x


class Stack(Generic[T], collections.UserList[T]):
    def push(self, item: T) -> None:
        self.append(item)


def test_of_a_class_everything_is_recorded_that_makes_an_instance() -> None:
    trace = trace_execution(Single, 3)
    assert entered(trace) == ["def __new__", "def __init__", "def twice"]
    assert (trace.entry, trace.outcome, trace.run.exit_code) == ("__new__", Outcome.RETURNED, None)
    assert entered(trace_execution(Counted, 1)) == ["def __call__", "def __init__"]
    assert entered(trace_execution(Point, 1)) == ["def __post_init__"]


def test_a_class_that_has_nothing_to_record() -> None:
    assert trace_execution(Stack, [1]).frames == ()
    with pytest.raises(CwmTraceError, match="no Python code"):
        trace_execution(dict, a=1)


def test_methods_partials_and_objects() -> None:
    assert entered(trace_execution(Single(2).twice)) == ["def twice"]
    assert entered(trace_execution(Single.make, 2))[:2] == ["@classmethod", "def __new__"]
    assert entered(trace_execution(Single.half, 2)) == ["@staticmethod"]
    assert entered(trace_execution(Single.__dict__["half"], 2)) == ["@staticmethod"]
    assert entered(trace_execution(Single(2), 5)) == ["def __call__"]
    part = functools.partial(functools.partial(nap), n=4)
    trace = trace_execution(part)
    assert trace.value is not None
    assert trace.value.text == "5"


@pytest.mark.parametrize("target", [len, 5, None, functools.partial(len, []), Single.__dict__["make"]])
def test_what_cannot_be_traced(target: Any) -> None:
    with pytest.raises(CwmTraceError, match=r"no Python code|cannot be traced"):
        trace_execution(target)


def takes_limits(n: int, limits: int = 7, call: object = 5, capture_output: bool = True) -> Any:
    return n, limits, call, capture_output


@pytest.mark.parametrize(
    "clash", [{"limits": 2}, {"limits": Limits()}, {"call": None}, {"call": 1}, {"capture_output": False}]
)
def test_a_parameter_of_the_same_name_as_an_option(clash: dict[str, Any]) -> None:
    (name,) = clash
    with pytest.raises(CwmTraceError, match=name):
        trace_execution(takes_limits, 1, **clash)
    trace = trace_execution(functools.partial(takes_limits, **clash), 1)
    assert trace.value is not None
    assert repr(clash[name]) in trace.value.text
    assert trace_execution(functools.partial(takes_limits, limits=3), 1, limits=Limits(max_frames=2)).frames


def test_options_that_do_not_go_with_a_function() -> None:
    with pytest.raises(CwmTraceError, match="call goes with source text"):
        trace_execution(squares, 3, call="squares(3)")
    with pytest.raises(CwmTraceError, match="limits is 2"):
        trace_execution(lambda **_: 1, limits=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("async def f(n):\n    return n\n", "a coroutine"),
        ("def f(n):\n    yield n\n", "a generator"),
        ("async def f(n):\n    yield n\n", "an asynchronous generator"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_call_that_ran_nothing_says_so(source: str, what: str) -> None:
    (warning,) = trace_execution(source, call="f(2)").warnings
    assert warning.startswith(f"the call returned {what}, which ran nothing")
    assert trace_execution("def f(n):\n    yield n\n", call="list(f(2))").warnings == ()

"""`record` as a decorator of everything that can be called, and around a block."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import pickle
import threading
import types
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, NamedTuple

import pytest

from cwm_trace import CwmTraceError, Event, Limits, Outcome, Trace, record


def traces_of(recorded: Any) -> list[Trace]:
    traces: list[Trace] = recorded.traces
    return traces


def calls(trace: Trace) -> list[str]:
    """The first line of each activation."""
    seen = {frame.activation: frame for frame in reversed(trace.frames)}
    return [seen[number].source.strip() for number in sorted(seen)]


@record
def bare(n: int) -> int:
    """Doubles."""
    return 2 * n


@record()
def countdown(n: int) -> int:
    return n if n == 0 else countdown(n - 1)


def test_a_decorator_without_parentheses() -> None:
    bare.traces.clear()  # type: ignore[attr-defined]
    assert bare(4) == 8
    assert [trace.value.text for trace in traces_of(bare) if trace.value] == ["8"]
    assert (bare.__name__, bare.__doc__) == ("bare", "Doubles.")
    assert pickle.loads(pickle.dumps(bare)) is bare


def test_a_recursive_function_is_one_trace_with_all_its_calls() -> None:
    countdown.traces.clear()  # type: ignore[attr-defined]
    assert countdown(5) == 0
    (trace,) = traces_of(countdown)
    assert len({frame.activation for frame in trace.frames}) == 6
    assert max(frame.depth for frame in trace.frames) == 5
    countdown(0)
    assert len(traces_of(countdown)) == 2


def test_two_functions_that_call_each_other_have_traces_of_their_own() -> None:
    @record
    def outer(n: int) -> int:
        return inner(n) + 1

    @record
    def inner(n: int) -> int:
        return 2 * n

    assert outer(3) == 7
    assert traces_of(inner)[0].value is not None
    assert traces_of(outer)[0].frames[-1].value == traces_of(outer)[0].value


class BoomError(Exception): ...


async def nap(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


def test_a_coroutine_function_stays_one() -> None:
    @record
    async def twice(n: int) -> int:
        return await nap(n) + await nap(n)

    assert inspect.iscoroutinefunction(twice)
    assert asyncio.run(twice(3)) == 8
    (trace,) = traces_of(twice)
    assert (trace.outcome, trace.entry, trace.warnings) == (Outcome.RETURNED, "twice", ())
    assert calls(trace).count("async def nap(n: int) -> int:") == 2
    assert trace.value is not None
    assert trace.value.text == "8"


def test_coroutines_that_run_at_once_have_a_trace_each() -> None:
    @record
    async def wait(name: str, times: int) -> str:
        for _ in range(times):
            await asyncio.sleep(0)
        return name

    async def both() -> list[str]:
        return list(await asyncio.gather(wait("a", 3), wait("b", 1)))

    assert asyncio.run(both()) == ["a", "b"]
    assert [trace.value.text for trace in traces_of(wait) if trace.value] == ["'b'", "'a'"]
    for trace in traces_of(wait):
        assert len({frame.activation for frame in trace.frames}) == 1
        assert trace.warnings == ()


def test_a_coroutine_that_raises_or_is_cancelled() -> None:
    @record
    async def fail(seconds: float) -> None:
        await asyncio.sleep(seconds)
        raise BoomError

    async def cancel() -> None:
        task = asyncio.create_task(fail(60))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with pytest.raises(BoomError):
        asyncio.run(fail(0))
    asyncio.run(cancel())
    assert [trace.outcome for trace in traces_of(fail)] == [Outcome.RAISED, Outcome.RAISED]


def test_a_generator_function_stays_one() -> None:
    @record
    def echo(n: int) -> Generator[int, int, str]:
        total = 0
        for i in range(n):
            total += yield i
        return f"sum {total}"

    assert inspect.isgeneratorfunction(echo)
    generator = echo(2)
    assert next(generator) == 0
    assert generator.send(5) == 1
    with pytest.raises(StopIteration) as ended:
        generator.send(6)
    assert ended.value.value == "sum 11"
    (trace,) = traces_of(echo)
    assert trace.outcome is Outcome.RETURNED
    assert trace.value is not None
    assert trace.value.text == "'sum 11'"
    assert [f.value.text for f in trace.frames if f.event is Event.RETURN and f.value] == [
        "0",
        "1",
        "'sum 11'",
    ]


def test_a_generator_that_is_thrown_into_and_closed() -> None:
    log: list[str] = []

    @record
    def guarded() -> Iterator[int]:
        try:
            while True:
                try:
                    yield 1
                except BoomError:  # noqa: PERF203
                    log.append("boom")
        finally:
            log.append("closed")

    generator: Any = guarded()
    next(generator)
    assert generator.throw(BoomError()) == 1
    generator.close()
    assert log == ["boom", "closed"]
    (trace,) = traces_of(guarded)
    assert any(frame.event is Event.EXCEPTION for frame in trace.frames)


def test_a_recursive_generator_is_one_trace() -> None:
    @record
    def walk(tree: Any) -> Iterator[int]:
        if isinstance(tree, int):
            yield tree
        else:
            for branch in tree:
                yield from walk(branch)

    assert list(walk([1, [2, [3]]])) == [1, 2, 3]
    (trace,) = traces_of(walk)
    assert len({frame.activation for frame in trace.frames}) == 6


def test_what_runs_between_two_steps_is_not_recorded() -> None:
    @record
    def one_two() -> Iterator[int]:
        yield 1
        yield 2

    for _ in one_two():
        bare(3)
    assert calls(traces_of(one_two)[0]) == ["@record"]


def test_an_asynchronous_generator_function_stays_one() -> None:
    @record
    async def ticks(n: int) -> AsyncIterator[int]:
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    async def use() -> list[int]:
        found = [i async for i in ticks(3)]
        async for i in ticks(9):
            if i == 1:
                break
        other: Any = ticks(5)
        await other.__anext__()
        await other.aclose()
        return found

    assert inspect.isasyncgenfunction(ticks)
    assert asyncio.run(use()) == [0, 1, 2]
    assert len(traces_of(ticks)) == 3
    whole = traces_of(ticks)[0]
    assert [f.value.text for f in whole.frames if f.event is Event.RETURN and f.value][-1] == "None"


def test_methods_of_every_kind() -> None:
    class Box:
        def __init__(self, value: int) -> None:
            self.value = value

        @record
        def double(self) -> int:
            return 2 * self.value

        @record()
        @staticmethod
        def three() -> int:
            return 3

        @staticmethod
        @record
        def four() -> int:
            return 4

        @record()
        @classmethod
        def of(cls, value: int) -> Box:
            return cls(value)

        @record  # type: ignore[prop-decorator]
        @property
        def shown(self) -> str:
            return f"[{self.value}]"

        @record  # type: ignore[prop-decorator]
        @functools.cached_property
        def once(self) -> int:
            return self.value

        @record
        async def later(self) -> int:
            return self.value

    box = Box.of(21)
    assert (box.double(), box.three(), Box.three(), Box.four(), box.shown, box.once) == (
        42,
        3,
        3,
        4,
        "[21]",
        21,
    )
    assert asyncio.run(box.later()) == 21
    recorded: list[Any] = [Box.double, Box.three, Box.four, Box.of, Box.__dict__["shown"].fget, Box.later]
    assert [len(function.traces) for function in recorded] == [1, 2, 1, 1, 1, 1]
    assert all(trace.frames for function in recorded for trace in function.traces)


def test_a_class_stays_the_class_it_is() -> None:
    class Account:
        limit = 100

        def __init__(self, owner: str) -> None:
            self.owner = owner
            self.total = 0
            self.deposit(1)

        def deposit(self, amount: int) -> int:
            self.total += amount
            return self.total

        @classmethod
        def of_ada(cls) -> Account:
            return cls("ada")

        def __repr__(self) -> str:
            return f"Account({self.owner!r})"

    decorated: Any = record(Account)
    assert decorated is Account
    account = Account.of_ada()
    assert isinstance(account, Account)
    assert account.deposit(5) == 6
    entries = [trace.entry for trace in traces_of(Account)]
    assert entries == ["of_ada", "deposit"]
    assert calls(traces_of(Account)[0])[1:] == [
        "def __init__(self, owner: str) -> None:",
        "def deposit(self, amount: int) -> int:",
    ]


def test_a_class_with_traces_of_its_own_and_what_is_no_function() -> None:
    class Detector:
        traces = 3

    with pytest.raises(CwmTraceError, match="'traces' of its own"):
        record(Detector)
    with pytest.raises(CwmTraceError, match="cannot decorate 5"):
        record(5)
    with pytest.raises(CwmTraceError, match="no Python code"):
        record(len)


def test_a_subclass_of_a_decorated_class_has_its_own() -> None:
    @record
    class Base:
        def f(self) -> int:
            return 1

    @record
    class Derived(Base):
        def g(self) -> int:
            return self.f() + 1

    assert Derived().g() == 2
    assert [trace.entry for trace in traces_of(Derived)] == ["g"]
    assert [trace.entry for trace in traces_of(Base)] == ["f"]


def test_partials_and_callable_objects() -> None:
    class Adder:
        def __call__(self, n: int) -> int:
            return n + 1

    class Later:
        async def __call__(self, n: int) -> int:
            return await nap(n)

    part: Any = record(functools.partial(bare.__wrapped__, 21))  # type: ignore[attr-defined]
    assert part() == 42
    adder: Any = record(Adder())
    assert adder(1) == 2
    later: Any = record(Later())
    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later(1)) == 2
    for recorded in (part, adder, later):
        assert traces_of(recorded)[0].frames


def test_decorators_between_the_recorder_and_a_lazy_function() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inner(*args: Any) -> Any:
            return function(*args)

        return inner

    recorded: Any = record(logged(nap))
    assert asyncio.run(recorded(1)) == 2

    @record
    @logged
    def numbers(n: int) -> Iterator[int]:
        yield from range(n)

    assert list(numbers(2)) == [0, 1]
    assert traces_of(recorded)[0].value is not None
    assert traces_of(numbers)[0].frames

    @record
    @types.coroutine
    def old(n: int) -> Generator[Any, Any, int]:
        yield
        return n

    async def use() -> int:
        return await old(3)

    assert asyncio.run(use()) == 3
    assert traces_of(old)[0].frames


def test_calls_in_several_threads_are_kept_apart() -> None:
    countdown.traces.clear()  # type: ignore[attr-defined]
    threads = [threading.Thread(target=countdown, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    activations = sorted(len({f.activation for f in t.frames}) for t in traces_of(countdown))
    assert activations == [2, 3, 4]


def test_a_time_limit_where_there_is_none() -> None:
    with pytest.raises(CwmTraceError, match="not nap, which runs when"):
        record(limits=Limits(timeout=1.0))(nap)
    with pytest.raises(CwmTraceError, match="not a block"), record(limits=Limits(timeout=1.0)):
        pass


def test_a_limit_ends_the_recording_and_not_the_generator() -> None:
    @record(limits=Limits(max_frames=3))
    def numbers() -> Iterator[int]:
        yield from range(5)

    assert list(numbers()) == [0, 1, 2, 3, 4]
    (trace,) = traces_of(numbers)
    assert (len(trace.frames), trace.outcome) == (3, Outcome.FRAME_LIMIT)


def test_parameters_are_the_functions_own() -> None:
    class Options(NamedTuple):
        limits: int

    @record(limits=Limits(max_frames=100))
    def build(limits: int, include: str = "", *, profile: str = "x") -> Options:
        return Options(limits)

    assert build(limits=3, include="a", profile="y") == Options(3)
    assert traces_of(build)[0].frames

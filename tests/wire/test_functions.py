"""What the text of a program says about its functions."""

from __future__ import annotations

import pytest

from cwm_trace.wire.functions import Function, find_functions


def find(text: str) -> Function:
    """The first function of a text, by line, then by length."""
    return min(find_functions(text), key=lambda one: (one.span[0], -one.span[1]))


@pytest.mark.parametrize(
    ("text", "arguments", "own"),
    [
        ("def f(a, /, b, *c, d, **e):\n    a = x = 1", "a b c d e", "x"),
        ("def f(a=(y := lambda z: z)): pass", "a", ""),
        ("lambda a: [(x := 1) for y in a]", "a", "x"),
        ("[x for x, (y, *a[0]) in z if (n := 1)]", ".0", "x y"),
        (
            "def f():\n    global x\n    x = y = 1\n    def g():\n        nonlocal y\n        y = z = 1",
            "",
            "y",
        ),
        ("class A:\n    def __init__(self): pass\n    x = 1", "", ""),
        ("class A:\n    f = lambda self, __x: 0", "", ""),
    ],
)
def test_names(text: str, arguments: str, own: str) -> None:
    function = find(text)
    assert function.arguments == set(arguments.split())
    assert function.own == set(own.split())


def test_a_class_gives_some_arguments_another_name() -> None:
    assert {"self"} in [one.arguments for one in find_functions("class A:\n    def f(self, __x): pass")]


@pytest.mark.parametrize(
    ("text", "waits", "held"),
    [
        ("def f():\n    yield 1\n    x = yield from y", {2, 3}, ""),
        ("def f():\n    def g():\n        yield 1", set(), ""),
        ("(x\n for x in y)", {1, 2}, "x"),
        ("[x\n for x in y]", set(), ""),
        (
            "async def f():\n    await x\n    async with (\n        y\n    ):\n        pass",
            {2, 3, 4, 5, 6},
            "",
        ),
        ("async def f():\n    return [\n        await x for x in y]", {2, 3}, ""),
        ("async def f():\n    return [\n        x async for x in y]", {2, 3}, ""),
        ("async def f(): pass", set(), ""),
    ],
)
def test_waiting(text: str, waits: set[int], held: str) -> None:
    function = find(text)
    assert function.waits == waits
    assert function.held == set(held.split())
    assert function.may_go_on({"x", "y"}) == bool(waits)


def test_a_first_call_shows_the_arguments_and_nothing_that_is_bound_later() -> None:
    function = find("def f(a):\n    b = 1\n    yield b")
    assert function.may_begin({"a"})
    assert function.may_begin({"a", "captured"})
    assert not function.may_begin({"captured"})
    assert not function.may_begin({"a", "b"})


def test_what_is_no_python_has_no_functions() -> None:
    assert find_functions("def f(:") == ()

from __future__ import annotations

import textwrap

import pytest

from cwm_trace.eval.comparison.branches import BranchLines, branch_lines
from cwm_trace.flow.graph import line_successors
from cwm_trace.records import Program, SourceFile, Trace


def branches(source: str) -> set[int]:
    """Branch lines of the first function, counted from its first line."""
    return set(branch_lines(textwrap.dedent(source).lstrip("\n"))[1])


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("x = 1\n    return x", set()),
        ("if a:\n        b = 1\n    return 2", {2}),
        ("if a:\n        b = 1\n    else:\n        b = 2", {2}),
        ("if a:\n        b = 1\n    elif b:\n        b = 2", {2, 4}),
        ("for x in a:\n        b = x", {2}),
        ("for x in a: b = x", {2}),
        ("while a:\n        a -= 1", {2}),
        ("while True:\n        a -= 1", set()),
        ("while True:\n        if a:\n            break\n    return a", {3}),
        ("return a if b else c", set()),
        ("return a and b", set()),
        ("if a and b:\n        return 1", {2}),
        ("try:\n        b = 1\n    except ValueError:\n        b = 2\n    return b", set()),
        ("raise ValueError(a)", set()),
        ("yield a\n    yield b", set()),
        ("assert a\n    return b", set()),
        ("with a:\n        b = 1\n    return b", set()),
        ("return f(\n        a,\n        b,\n    )", set()),
    ],
)
def test_branch_lines(body: str, lines: set[int]) -> None:
    assert branches(f"def f(a, b=0, c=0):\n    {body}\n") == lines


def test_a_match_branches_at_its_cases() -> None:
    source = """
    def f(a):
        match a:
            case 1:
                return 1
            case [x]:
                return x
        return 0
    """
    assert {3, 5} <= branches(source)


def test_successors_are_lines_and_the_return() -> None:
    def f(n):  # type: ignore[no-untyped-def]
        while n:
            n -= 1
        return n

    first = f.__code__.co_firstlineno
    found = line_successors(f.__code__)
    relative = {line - first: {after and after - first for after in found[line]} for line in found}
    assert relative[1] == {2, 3}
    assert relative[2] == {1}
    assert relative[3] == {0}


def test_functions_have_their_own_and_a_script_has_its() -> None:
    text = "def f(a):\n    if a:\n        a = 0\n    return a\nif f(1):\n    x = 1\n"
    trace = Trace(Program((SourceFile("p.py", text),), "<module>"))
    lines = BranchLines(trace)
    assert lines.of(0, 1) == {2}
    assert lines.of(0, 0) == {5}
    assert lines.of(0, 3) == {2, 5}  # no function starts there: any of them
    assert lines.of(1, 0) == frozenset()


@pytest.mark.parametrize("text", ["def f(:", "\x00", "(" * 500])
def test_what_does_not_compile_has_none(text: str) -> None:
    assert branch_lines(text) == {}

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.wire.lines import LineResolver

TEXT = """\
@decorated
def f(a):
    for x in a:
        pass
    pass
    return [
        y for y in a]
def g():
    def h():
        pass
    pass
    pass
k = lambda: 1
pass"""
LINES = TEXT.split("\n")
RESOLVER = LineResolver(LINES)


@pytest.mark.parametrize(
    ("source", "span", "after", "line"),
    [
        ("    pass", (8, 12), 8, 11),  # the nearest one after the line before
        ("    pass", (8, 12), 11, 12),
        ("    pass", (8, 12), 12, 12),  # none after: the last before, as in a loop
        ("    pass", (1, 7), 0, 5),  # the current function first
        ("    pass", None, 5, 11),
        ("    pass", (13, 13), 0, 5),  # not in the function: anywhere
        ("no such line", None, 0, 0),
    ],
)
def test_a_text_means_the_nearest_line(
    source: str, span: tuple[int, int] | None, after: int, line: int
) -> None:
    assert RESOLVER.resolve(source, span, after) == line


@pytest.mark.parametrize(
    ("line", "span"),
    [(1, (1, 7)), (3, (1, 7)), (7, (6, 7)), (8, (8, 12)), (10, (9, 10)), (13, (13, 13)), (14, (1, 14))],
)
def test_a_line_belongs_to_the_innermost_function(line: int, span: tuple[int, int]) -> None:
    assert RESOLVER.span(line) == span


def test_functions_start_where_they_are_defined() -> None:
    assert [n for n in range(1, 15) if RESOLVER.functions(n)] == [1, 6, 8, 9, 13]


def test_a_span_has_its_lines_only() -> None:
    assert RESOLVER.within("        pass", (9, 10))
    assert not RESOLVER.within("    pass", (9, 10))
    assert RESOLVER.within("pass", None)
    assert "pass" in RESOLVER
    assert "" not in RESOLVER


@pytest.mark.parametrize(
    "lines",
    [
        ["def f(:", "    pass"],
        ["\x00", "def f(): pass"],
        ["(" * 9999],
        ["-" * 99_999 + "1"],
        [],
        [""],
        ["if x:", "\tpass", "        pass"],
    ],
)
def test_what_is_no_python_has_no_functions(lines: list[str]) -> None:
    assert LineResolver(lines).span(1) == (1, len(lines))


@pytest.mark.parametrize("ending", ["\r", "\x0c", "\x0b", "\x1c", "\u2028"])
def test_only_a_newline_ends_a_line(ending: str) -> None:
    """CPython takes a carriage return for one, `str.splitlines` many more."""
    lines = [f"# a{ending}#b", "def f():", "    pass"]
    assert LineResolver(lines).span(3) == (2, 3)


@given(st.lists(st.text(max_size=3), max_size=6), st.integers(0, 9), st.integers(0, 9))
def test_a_resolved_line_has_the_text(lines: list[str], first: int, after: int) -> None:
    resolver = LineResolver(lines)
    for source in [*lines, "other"]:
        line = resolver.resolve(source, (first, first + 2), after)
        assert (line == 0) == (source not in lines)
        assert line == 0 or lines[line - 1] == source


@pytest.mark.parametrize(
    ("text", "at", "line"),
    [
        ("for i in x:\n    a()\nfor i in x:\n    b()", 2, 1),  # the next loop begins alike
        ("for i in x:\n    a()\nfor i in x:\n    b()", 1, 3),  # it is exhausted
        ("for i in x:\n    if i:\n        break\nfor i in x:\n    b()", 3, 4),
        ("for i in x:\n    if i:\n        a()\nfor i in x:\n    b()", 3, 1),
        ("with a:\n    f()\nwith a:\n    f()", 2, 1),
        ("@d\ndef f():\n    pass\n@d\ndef g():\n    pass", 2, 1),
        ("@d\n@d\ndef f():\n    pass\n@d\ndef g():\n    pass", 3, 2),
        ("@d\n@d\ndef f():\n    pass\n@d\ndef g():\n    pass", 2, 1),
        ("while x:\n    def f():\n        pass\nwhile x:\n    pass", 3, 4),  # a call does not go on around it
    ],
)
def test_a_program_goes_back_to_where_it_came_from(text: str, at: int, line: int) -> None:
    lines = text.split("\n")
    assert LineResolver(lines).follow(lines[line - 1], None, at) == line

from __future__ import annotations

import pytest
from hypothesis import given

from cwm_trace.records import Program, SourceFile, Trace
from cwm_trace.wire.context import (
    START_MARKER,
    context_lines,
    function_name,
    parse_context,
    recorded_source,
    render_context,
    shown_source,
    source_lines,
)
from cwm_trace.wire.profile import CWM, FormatProfile
from tests.traces import plain_text, profiles, traces

MODULE = FormatProfile(module_code="module")
TEXT = "def f():\n    return 1\n"


def of(*texts: str, entry: str = "f", line: int = 1) -> Trace:
    return Trace(Program(tuple(SourceFile(f"p{i}.py", text) for i, text in enumerate(texts)), entry, line))


@pytest.mark.parametrize("text", [TEXT, TEXT[:-1]])
def test_a_context_starts_and_ends_with_a_newline(text: str) -> None:
    assert render_context(of(text), CWM) == "\ndef f():  # << START_OF_TRACE\n    return 1\n"


def test_the_entry_may_be_on_the_last_line() -> None:
    trace = of("x = 1\ndef f(): return x", line=2)
    assert render_context(trace, CWM) == "\nx = 1\ndef f(): return x  # << START_OF_TRACE\n"
    assert parse_context(render_context(trace, CWM))[1:] == ("f", 2)


def test_only_the_entry_of_several_equal_lines_is_marked() -> None:
    assert render_context(of(TEXT + TEXT, line=3), CWM).count(START_MARKER) == 1
    assert parse_context(render_context(of(TEXT + TEXT, line=3), CWM))[1:] == ("f", 3)


def test_a_script_is_the_body_of_main() -> None:
    trace = of("x = 1\n\n  \ny = '''\n'''\n", entry="<module>", line=0)
    assert render_context(trace, CWM) == (
        "\ndef main():  # << START_OF_TRACE\n    x = 1\n\n  \n    y = '''\n    '''\n"
    )
    assert render_context(trace, MODULE) == "\nx = 1\n\n  \ny = '''\n'''\n"


def test_an_empty_script_is_an_empty_body() -> None:
    assert render_context(of("", entry="<module>", line=0), CWM) == "\ndef main():  # << START_OF_TRACE\n\n"


def test_the_file_with_the_entry_comes_last_and_only_it_is_a_body() -> None:
    trace = of("import p1\n", "y = 2\n", entry="<module>", line=0)
    assert render_context(trace, CWM) == (
        "\n# file: p1.py\ny = 2\n# file: p0.py\ndef main():  # << START_OF_TRACE\n    import p1\n"
    )
    assert [line[1:] for line in context_lines(trace, CWM)] == [(1, 0), (1, 1), (0, 0), (0, 0), (0, 1)]


def test_a_marker_is_a_suffix_not_a_set_of_characters() -> None:
    files, entry, line = parse_context("\ndef S():  # << START_OF_TRACE\n    return A\n")
    assert (files[0].text, entry, line) == ("def S():\n    return A\n", "S", 1)


def test_the_last_marker_is_the_entry() -> None:
    files, entry, line = parse_context(f"\ndef f():{START_MARKER}\ndef g():{START_MARKER}\n")
    assert (entry, line) == ("g", 2)
    assert files[0].text == f"def f():{START_MARKER}\ndef g():\n"


@pytest.mark.parametrize("text", ["", "\n", "x", f"\n{START_MARKER}\n", "\n\r\n"])
def test_any_text_is_a_context(text: str) -> None:
    files, entry, line = parse_context(text)
    assert len(files) == 1
    assert entry == ""
    assert line in (0, 1)


@given(traces(), profiles())
def test_a_context_that_was_read_is_written_the_same(trace: Trace, profile: FormatProfile) -> None:
    text = render_context(trace, profile)
    files, entry, line = parse_context(text)
    assert render_context(Trace(Program(files, entry, line)), profile) == text
    shown = [line.text for line in context_lines(trace, profile)]
    assert [line.text for line in context_lines(Trace(Program(files, entry, line)), profile)] == shown


@given(plain_text().filter(lambda text: "\n" not in text))
def test_a_shown_line_is_recorded_as_it_was(line: str) -> None:
    assert shown_source(line, indented=False) == recorded_source(line, indented=False) == line
    if line.strip():
        assert recorded_source(shown_source(line, indented=True), indented=True) == line


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", [""]), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\n\n", ["a", ""]), ("\x0c\rb", ["\x0c\rb"])],
)  # fmt: skip
def test_lines_are_physical_lines(text: str, lines: list[str]) -> None:
    assert source_lines(text) == lines


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("def f(a):", "f"),
        ("    async  def g ():", "g"),
        ("def é(): pass", "é"),
        ("define(x)", ""),
        ("class A:", ""),
    ],
)
def test_function_names_are_found(line: str, name: str) -> None:
    assert function_name(line) == name

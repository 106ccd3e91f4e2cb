"""FORMAT.md's rules as exact texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given

from cwm_trace.records import Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.wire import CWM, KTH, FormatProfile, Special, parse_trace, render_prompt, render_trace
from cwm_trace.wire.render import text_is_ambiguous
from tests.effort import examples
from tests.traces import TOKENS, profiles, traces

SEPARATORS = {
    Event.CALL: "<|call_sep|>",
    Event.LINE: "<|line_sep|>",
    Event.RETURN: "<|return_sep|>",
    Event.EXCEPTION: "<|exception_sep|>",
}
TEXT = """\
def f(a):
    b = a + 1  \n    return b
def main():
    return f(1)
"""
CONTEXT = (
    "<|begin_of_text|><|trace_context_start|>\n"
    "def f(a):\n    b = a + 1  \n    return b\n"
    "def main():  # << START_OF_TRACE\n    return f(1)\n<|frame_sep|>"
)


def program(text: str, *frames: Frame, entry: str = "main", outcome: Outcome = Outcome.RETURNED) -> Trace:
    lines = text.split("\n")
    entry_line = next((i for i, line in enumerate(lines, 1) if line.startswith(f"def {entry}(")), 0)
    full = tuple(
        replace(frame, source=lines[frame.line - 1] if frame.line else "")
        for frame in frames
    )  # fmt: skip
    return Trace(Program((SourceFile("p.py", text),), entry, entry_line), full, outcome)


def at(
    event: str, line: int, activation: int = 0, /, value: str | None = None, **changed: str | None
) -> Frame:
    changes = {name: None if text is None else Slot(text) for name, text in changed.items()}
    slot = None if value is None else Slot(value)
    return Frame(Event(event), line, "", activation, activation, changed=changes, value=slot)


def locals_of(trace: Trace, profile: FormatProfile = CWM) -> list[str]:
    """LOCALS of the CALLs and LINEs, as written."""
    frames = render_trace(trace, profile=profile).split("<|frame_sep|>")[1:]
    return [
        frame.partition("sep|>")[2].partition("<|action_sep|>")[0]
        for frame in frames
        if frame.startswith(("<|call_sep|>", "<|line_sep|>"))
    ]


NESTED = program(
    TEXT,
    at("call", 4),
    at("line", 5),
    at("call", 1, 1, a="1"),
    at("line", 2, 1),
    at("line", 3, 1, b="2"),
    at("return", 3, 1, value="2"),
    at("return", 5, value="2"),
)


def test_a_whole_trace() -> None:
    assert render_trace(NESTED) == (
        CONTEXT
        + "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
        + "<|line_sep|>{}<|action_sep|>    return f(1)\n<|frame_sep|>"
        + '<|call_sep|>{"a": "1"}<|action_sep|>def f(a):\n<|frame_sep|>'
        + '<|line_sep|>{"a": ".."}<|action_sep|>    b = a + 1  \n<|frame_sep|>'
        + '<|line_sep|>{"a": "..", "b": "2"}<|action_sep|>    return b\n<|frame_sep|>'
        + '<|return_sep|><|action_sep|>    return b\n<|arg_sep|>"2"<|frame_sep|>'
        + '<|return_sep|><|action_sep|>    return f(1)\n<|arg_sep|>"2"<|frame_sep|>'
        + "<|end_of_text|>"
    )


def test_the_prompt_is_the_context_and_the_entry_call() -> None:
    call = "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
    assert render_prompt(NESTED) == CONTEXT + call
    assert render_prompt(NESTED, given=0) == CONTEXT


@examples(0.3)
@given(traces(), profiles())
def test_a_prompt_is_the_beginning_of_the_trace(trace: Trace, profile: FormatProfile) -> None:
    ids = render_trace(trace, profile=profile, tokens=TOKENS)
    for count in range(len(trace.frames) + 1):
        prompt = render_prompt(trace, given=count, profile=profile, tokens=TOKENS)
        assert ids[: len(prompt)] == prompt


def test_rule_1_locals_are_json_in_the_order_of_first_binding() -> None:
    trace = program(
        "def main():\n    pass\n",
        at("call", 1),
        at("line", 2, é="'ü'", a='"it\'s"'),
        at("line", 2, é=None, b="1"),
        at("line", 2, é="2"),
    )
    assert locals_of(trace) == [
        "{}",
        '{"\\u00e9": "\'\\u00fc\'", "a": "\\"it\'s\\""}',
        '{"a": "..", "b": "1"}',
        '{"\\u00e9": "2", "a": "..", "b": ".."}',
    ]


def test_rule_3_a_call_in_between_resets_the_copies() -> None:
    trace = program(
        TEXT,
        at("call", 1, a="1"),
        at("line", 2),
        at("call", 4, 1, a="1"),
        at("return", 5, 1, value="1"),
        at("line", 3),
        at("line", 3),
    )
    assert locals_of(trace)[1:] == ['{"a": ".."}', '{"a": "1"}', '{"a": "1"}', '{"a": ".."}']
    assert locals_of(trace, KTH)[1:] == ['{"a": ".."}', '{"a": "1"}', '{"a": ".."}', '{"a": ".."}']


def test_rule_3_an_exception_of_its_own_does_not_break_a_run() -> None:
    trace = program(TEXT, at("call", 1, a="1"), at("exception", 2, value="E()"), at("line", 3))
    assert locals_of(trace) == ['{"a": "1"}', '{"a": ".."}']


def test_rule_3_the_string_of_two_dots_is_quoted() -> None:
    trace = program(TEXT, at("call", 1, a=repr("..")), at("line", 2))
    assert locals_of(trace) == ['{"a": "\'..\'"}', '{"a": ".."}']


def test_rule_3_a_value_that_comes_back_is_written() -> None:
    trace = program(TEXT, at("call", 1, a="1"), at("line", 2, a="2"), at("line", 3, a="1"))
    assert locals_of(trace) == ['{"a": "1"}', '{"a": "2"}', '{"a": "1"}']


def test_rule_4_values_are_json_of_repr_without_a_newline() -> None:
    trace = program("def main():\n\treturn 'é'\n", at("call", 1), at("return", 2, value="'é'"))
    written = "<|return_sep|><|action_sep|>\treturn 'é'\n<|arg_sep|>\"'\\u00e9'\"<|frame_sep|>"
    assert written in render_trace(trace)


def test_rule_5_a_resumed_generator_is_written_in_full() -> None:
    text = "def g(n):\n    yield n\ndef main():\n    list(g(1))\n"
    trace = program(
        text,
        at("call", 3),
        at("line", 4),
        at("call", 1, 1, n="1"),
        at("line", 2, 1),
        at("return", 2, 1, value="1"),
        at("call", 2, 1),
        at("return", 2, 1, value="None"),
        at("return", 4, value="None"),
    )
    for profile in (CWM, KTH):
        assert render_trace(trace, profile=profile).endswith(
            '<|call_sep|>{"n": "1"}<|action_sep|>def g(n):\n<|frame_sep|>'
            '<|line_sep|>{"n": ".."}<|action_sep|>    yield n\n<|frame_sep|>'
            '<|return_sep|><|action_sep|>    yield n\n<|arg_sep|>"1"<|frame_sep|>'
            '<|call_sep|>{"n": "1"}<|action_sep|>    yield n\n<|frame_sep|>'
            '<|return_sep|><|action_sep|>    yield n\n<|arg_sep|>"None"<|frame_sep|>'
            '<|return_sep|><|action_sep|>    list(g(1))\n<|arg_sep|>"None"<|frame_sep|>'
            "<|end_of_text|>"
        )
    parsed = parse_trace(render_trace(trace))
    assert [frame.activation for frame in parsed.frames] == [0, 0, 1, 1, 1, 1, 1, 0]
    assert parsed.guess.problems == ()


@pytest.mark.parametrize("outcome", Outcome)
def test_rule_6_the_end_token_follows_an_execution_that_ended(outcome: Outcome) -> None:
    ended = outcome in (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED)
    assert render_trace(replace(NESTED, outcome=outcome)).endswith("<|end_of_text|>") is ended


def test_rule_7_nothing_is_shortened() -> None:
    value = repr(list(range(301)))
    assert f'"{value}"' in render_trace(program(TEXT, at("call", 1, a=value), entry="f"))


RAISING = program(
    "def g():\n    1 / 0\ndef main():\n    g()\n",
    at("call", 3),
    at("line", 4),
    at("call", 1, 1),
    at("line", 2, 1),
    replace(
        at("exception", 2, 1),
        value=Slot("ZeroDivisionError('no')", "m.ZeroDivisionError"),
        message="no",
    ),
    at("return", 2, 1),
    at("exception", 4, value="E()"),
    at("return", 4),
    outcome=Outcome.RAISED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "value"),
    [
        ("repr", "\"ZeroDivisionError('no')\""),
        ("type", '"ZeroDivisionError"'),
        ("str", '"no"'),
        ("type-repr", "\"'ZeroDivisionError'\""),
    ],
)
def test_an_exception_is_written_as_the_profile_says(reading: str, value: str) -> None:
    profile = FormatProfile(exception_value=reading)  # type: ignore[arg-type]
    text = render_trace(RAISING, profile=profile)
    assert f"<|exception_sep|><|action_sep|>    1 / 0\n<|arg_sep|>{value}<|frame_sep|>" in text


def test_an_unwinding_return_is_none_or_dropped() -> None:
    written = '<|return_sep|><|action_sep|>    1 / 0\n<|arg_sep|>"None"<|frame_sep|>'
    dropped = FormatProfile(unwinding_return="dropped")
    assert written in render_trace(RAISING)
    assert "<|return_sep|>" not in render_trace(RAISING, profile=dropped)
    parsed = parse_trace(render_trace(RAISING, profile=dropped), profile=dropped)
    assert (parsed.outcome, parsed.guess.problems) == (Outcome.RAISED, ())
    assert [frame.depth for frame in parsed.frames] == [0, 0, 1, 1, 1, 0]


def test_module_code_is_the_body_of_main_or_a_module() -> None:
    trace = program(
        "x = 1\n\nif x:\n    y = 2\n", at("call", 0), at("line", 1), at("line", 4, x="1"), entry="<module>"
    )
    assert render_trace(trace) == (
        "<|begin_of_text|><|trace_context_start|>\n"
        "def main():  # << START_OF_TRACE\n    x = 1\n\n    if x:\n        y = 2\n<|frame_sep|>"
        "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
        "<|line_sep|>{}<|action_sep|>    x = 1\n<|frame_sep|>"
        '<|line_sep|>{"x": "1"}<|action_sep|>        y = 2\n<|frame_sep|>'
        "<|end_of_text|>"
    )
    module = FormatProfile(module_code="module")
    assert render_trace(trace, profile=module) == (
        "<|begin_of_text|><|trace_context_start|>\nx = 1\n\nif x:\n    y = 2\n<|frame_sep|>"
        "<|call_sep|>{}<|action_sep|>\n<|frame_sep|>"
        "<|line_sep|>{}<|action_sep|>x = 1\n<|frame_sep|>"
        '<|line_sep|>{"x": "1"}<|action_sep|>    y = 2\n<|frame_sep|>'
        "<|end_of_text|>"
    )


def test_only_the_first_thread_is_shown() -> None:
    other = replace(NESTED.frames[1], thread=1, changed={"z": Slot("1")})
    frames = [copy for frame in NESTED.frames for copy in (frame, other)]
    assert render_trace(replace(NESTED, frames=tuple(frames))) == render_trace(NESTED)
    assert render_prompt(replace(NESTED, frames=tuple(frames)), given=2) == render_prompt(NESTED, given=2)


def test_a_forced_prediction_of_the_end_is_the_end_token() -> None:
    trace = replace(NESTED, frames=(*NESTED.frames[:2], Frame(Event.END, 0, "")), outcome=Outcome.INCOMPLETE)
    assert render_trace(trace) == render_prompt(NESTED, given=2) + "<|end_of_text|>"


@pytest.mark.parametrize("where", ["text", "name", "value", "nowhere"])
def test_text_says_when_it_is_ambiguous(where: str) -> None:
    token = "<|frame_sep|>"
    text = "def main():\n    pass" + ("  # " + token if where == "text" else "")
    changed = {token if where == "name" else "a": Slot(repr(token) if where == "value" else "1")}
    trace = program(text, at("call", 1), replace(at("line", 2), changed=changed))
    assert text_is_ambiguous(trace) is (where != "nowhere")
    assert [i for i in render_trace(trace, tokens=TOKENS) if i == TOKENS.ids[Special.FRAME]] == [
        TOKENS.ids[Special.FRAME]
    ] * 3


def test_a_trace_without_files_or_frames_is_rendered() -> None:
    assert (
        render_trace(Trace(Program((), "f"))) == "<|begin_of_text|><|trace_context_start|>\n\n<|frame_sep|>"
    )
    empty = Trace(Program((SourceFile("p.py", ""),), "<module>"))
    assert "def main():  # << START_OF_TRACE\n" in render_trace(empty)


def test_frames_have_their_separators() -> None:
    frames: Mapping[Event, str] = SEPARATORS
    for frame in RAISING.frames:
        assert frames[frame.event] in render_trace(replace(RAISING, frames=(frame,)))


def test_what_runs_after_the_entry_has_returned_is_not_shown() -> None:
    source = "import atexit\ndef bye():\n    x = 1\natexit.register(bye)\n"
    frames = (
        Frame(Event.CALL, 0, ""),
        Frame(Event.LINE, 1, "import atexit"),
        Frame(Event.RETURN, 4, "atexit.register(bye)", value=Slot("None", "NoneType")),
        Frame(Event.CALL, 2, "def bye():", activation=1),
        Frame(Event.LINE, 3, "    x = 1", activation=1),
        Frame(Event.RETURN, 3, "    x = 1", activation=1, value=Slot("None", "NoneType")),
    )
    trace = Trace(Program((SourceFile("a.py", source),), "<module>"), frames)
    parsed = parse_trace(render_trace(trace))
    assert len(parsed.frames) == 3
    assert parsed.guess.problems == ()

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import strategies as st

from cwm_trace.records import Event, Frame, Outcome, Program, Run, Slot, SourceFile, Trace
from cwm_trace.states import resolve_states
from cwm_trace.wire import (
    CWM,
    KTH,
    FormatProfile,
    Special,
    TraceTokens,
    parse_trace,
    render_prompt,
    render_trace,
)
from cwm_trace.wire.parse import TraceParser
from cwm_trace.wire.render import text_is_ambiguous
from tests.effort import examples
from tests.traces import PROFILES, TOKENS, mutated, profiles, read_back, slots, traces, visible

GRADES = {"tokens", "locals", "stack", "source", "truncated"}
PROGRAM = Trace(Program((SourceFile("p.py", "def main():\n    a = 1\n    return a\n"),), "main", 1))
ENDS = (Special.BEGIN, Special.CONTEXT, Special.FRAME, Special.END)
PROMPT = (
    "<|begin_of_text|><|trace_context_start|>\n"
    "def main():  # << START_OF_TRACE\n    a = 1\n    return a\n<|frame_sep|>"
)
CALL = "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
LINES = (
    "<|line_sep|>{}<|action_sep|>    a = 1\n<|frame_sep|>"
    '<|line_sep|>{"a": "1"}<|action_sep|>    return a\n<|frame_sep|>'
)
RETURN = '<|return_sep|><|action_sep|>    return a\n<|arg_sep|>"1"<|frame_sep|>'
END = "<|end_of_text|>"
GOOD = PROMPT + CALL + LINES + RETURN + END


def round_trip(trace: Trace, profile: FormatProfile) -> None:
    ids = render_trace(trace, profile=profile, tokens=TOKENS)
    parsed = parse_trace(ids, profile=profile, tokens=TOKENS)
    assert read_back(parsed) == visible(trace, profile)
    assert render_trace(parsed, profile=profile, tokens=TOKENS) == ids


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: f"{p.name}-{p.hash[:4]}")
@examples(0.1)
@given(trace=traces())
def test_what_is_read_is_what_was_written(profile: FormatProfile, trace: Trace) -> None:
    round_trip(trace, profile)


@given(traces(), profiles())
def test_what_is_read_is_what_was_written_in_any_profile(trace: Trace, profile: FormatProfile) -> None:
    round_trip(trace, profile)


@examples(0.5)
@given(traces(), profiles())
def test_text_is_read_like_ids_unless_ambiguous(trace: Trace, profile: FormatProfile) -> None:
    assume(not text_is_ambiguous(trace, profile=profile))
    text = render_trace(trace, profile=profile)
    parsed = parse_trace(text, profile=profile)
    assert read_back(parsed) == visible(trace, profile)
    assert render_trace(parsed, profile=profile) == text


@given(traces(whole=True), profiles())
def test_well_formed_traces_have_no_problems(trace: Trace, profile: FormatProfile) -> None:
    ids = render_trace(trace, profile=profile, tokens=TOKENS)
    parsed = parse_trace(ids, profile=profile, tokens=TOKENS)
    assert parsed.guess.problems == ()
    assert parsed.outcome in (Outcome.RETURNED, Outcome.RAISED)


@given(traces(whole=True))
def test_the_stack_gives_depths(trace: Trace) -> None:
    parsed = parse_trace(render_trace(trace, tokens=TOKENS), tokens=TOKENS)
    assert [frame.depth for frame in parsed.frames] == [frame.depth for frame in trace.frames]


@given(traces(), profiles(), st.data())
def test_a_history_is_continued(trace: Trace, profile: FormatProfile, data: st.DataObject) -> None:
    """The frames after a cut, read with the frames before it as history, are the frames of the whole."""
    given_frames = data.draw(st.integers(0, len(trace.frames)))
    start = replace(trace, frames=trace.frames[:given_frames], outcome=Outcome.INCOMPLETE)
    ids = render_trace(trace, profile=profile, tokens=TOKENS)
    prefix = render_trace(start, profile=profile, tokens=TOKENS)
    assert ids[: len(prefix)] == prefix
    parsed = parse_trace(ids[len(prefix) :], program=start, profile=profile, tokens=TOKENS)
    assert parsed.guess.given == given_frames
    assert [(f.event, f.depth) for f in parsed.frames] == [
        (f.event, f.depth)
        for i, f in enumerate(trace.frames)
        if i < given_frames or f.event is not Event.RETURN or f.value or profile.unwinding_return == "written"
    ]
    assert render_trace(parsed, profile=profile, tokens=TOKENS) == ids


def assert_total(data: str | list[int]) -> Trace:
    for program in (None, PROGRAM):
        trace = parse_trace(data, program=program, tokens=TOKENS)
        for problem in trace.guess.problems:
            assert problem.grade in GRADES
            assert 0 <= problem.position < len(data)
            assert 0 <= problem.frame <= len(trace.frames)
        resolve_states(trace.frames)
        render_trace(trace, tokens=TOKENS)
    return trace


PIECES = st.sampled_from([token.value for token in Special]) | st.sampled_from(
    ["{}", '{"a": ".."}', '"1"', "None", "\n", "def main():\n", "    return a\n", "[" * 5000, "1" * 5000]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=16).map("".join))
@example("")
@example(Special.BEGIN.value)
@example(Special.BEGIN.value + Special.CONTEXT.value)
@example(GOOD + GOOD)
def test_any_text_gives_frames_and_problems(text: str) -> None:
    assert_total(text)


@given(st.lists(st.integers(0, 255 + len(Special)) | st.integers(), max_size=40))
def test_any_ids_give_frames_and_problems(ids: list[int]) -> None:
    assert_total(ids)


@given(traces(), st.data())
def test_damaged_traces_give_frames_and_problems(trace: Trace, data: st.DataObject) -> None:
    assert_total(data.draw(mutated(render_trace(trace, tokens=TOKENS))))


@examples(0.5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(traces(), profiles(), st.data())
def test_damaged_frames_are_written_as_they_were(
    trace: Trace, profile: FormatProfile, data: st.DataObject
) -> None:
    """`Frame.raw` keeps whatever stands between the right special tokens."""
    ids = data.draw(mutated(render_trace(trace, profile=profile, tokens=TOKENS)))
    parsed = parse_trace(ids, profile=profile, tokens=TOKENS)
    assume(not any(problem.grade in ("tokens", "truncated") for problem in parsed.guess.problems))
    assume(TOKENS.encode(TOKENS.decode([i for i in ids if i < 256])) == [i for i in ids if i < 256])
    begin, context, frame, end = (TOKENS.ids[token] for token in ENDS)
    assume(ids[:2] == [begin, context] and ids[-1] in (frame, end))
    written = render_trace(parsed, profile=profile, tokens=TOKENS)
    assert written[written.index(frame) :] == ids[ids.index(frame) :]  # a context has its newlines


@examples(0.5)
@given(traces())
def test_a_cut_last_frame_is_truncated_not_invalid(trace: Trace) -> None:
    ids = render_trace(replace(trace, outcome=Outcome.INCOMPLETE), tokens=TOKENS)
    parsed = parse_trace(ids[:-1], tokens=TOKENS)
    assert [problem.grade for problem in parsed.guess.problems] == ["truncated"]
    assert parsed.guess.problems[0].frame == len(parsed.frames) == len(trace.frames) - 1
    assert ids[parsed.guess.problems[0].position] in [
        TOKENS.ids[t] for t in (Special.CALL, Special.LINE, Special.RETURN, Special.EXCEPTION)
    ]


def test_a_good_trace_has_no_problems() -> None:
    trace = assert_total(GOOD)
    assert trace.guess.problems == ()
    assert (trace.entry, trace.entry_line, trace.outcome) == ("main", 1, Outcome.RETURNED)
    assert [frame.line for frame in trace.frames] == [1, 2, 3, 3]
    assert trace.value == Slot("1")


@pytest.mark.parametrize(
    ("text", "grade", "frame", "at"),
    [
        (PROMPT + CALL.replace("<|action_sep|>", ""), "tokens", 0, "<|call_sep|>"),
        (PROMPT + CALL + "hello<|frame_sep|>", "tokens", 1, "hello"),
        (PROMPT + CALL + RETURN.replace("<|arg_sep|>", "<|action_sep|>"), "tokens", 1, "<|return_sep|>"),
        (GOOD + "more", "tokens", 4, "more"),
        (PROMPT + CALL + "<|line_sep|><|end_of_text|>", "tokens", 1, "<|line_sep|>"),
        (GOOD.replace("<|frame_sep|><|call_sep|>", "<|call_sep|>", 1), "tokens", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", "{'a': 1}"), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", "[]"), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", '[["a", "1"]]'), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", '{"a": 1}'), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", '{"a": NaN}'), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", '{"a": "1", "a": "2"}'), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", '{"a": ' + "[" * 9999), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL.replace("{}", '{"a": ' + "1" * 9999 + "}"), "locals", 0, "<|call_sep|>"),
        (PROMPT + CALL + RETURN.replace('"1"', "1"), "locals", 1, "<|return_sep|>"),
        (PROMPT + RETURN, "stack", 0, "<|return_sep|>"),
        (GOOD.replace(END, RETURN), "stack", 4, None),
        (PROMPT + CALL + END, "stack", 1, END),
        (PROMPT + END, "stack", 0, END),
        (PROMPT + CALL + LINES.replace("a = 1", "a = 2"), "source", 1, "<|line_sep|>"),
        (PROMPT + CALL + LINES[:-1], "truncated", 2, None),
    ],
)
def test_each_grade_is_reached(text: str, grade: str, frame: int, at: str | None) -> None:
    trace = assert_total(text)
    trace = parse_trace(text)
    first = trace.guess.problems[0]
    assert (first.grade, first.frame) == (grade, frame)
    if at is not None:
        assert text.startswith(at, first.position)


def test_locals_in_another_order_or_spacing_are_kept_as_written() -> None:
    text = (
        GOOD.replace('{"a": "1"}', '{"b":"2","a":"1"}')
        .replace("<|line_sep|>{}", '<|line_sep|>{"a": "0"}')
        .replace("{}", "{ }")
    )
    trace = parse_trace(text)
    assert not trace.guess.problems
    assert [frame.raw is not None for frame in trace.frames] == [True, False, True, False]
    assert render_trace(trace) == text


@given(slots())
def test_text_that_spells_special_tokens_is_no_special_token(slot: Slot) -> None:
    """Also where it stands in the very place of the token that it spells."""
    number = TOKENS.ids
    spelt = TOKENS.encode
    ids = [number[Special.BEGIN], *spelt("<|trace_context_start|>"), number[Special.FRAME]]
    assert [p.grade for p in parse_trace(ids, tokens=TOKENS).guess.problems] == ["tokens"]
    ids = [
        number[Special.RETURN],
        *spelt("<|action_sep|>"),
        number[Special.ACTION],
        *spelt("<|arg_sep|>"),
        number[Special.ARG],
        number[Special.FRAME],
    ]
    assert "tokens" in [p.grade for p in parse_trace(ids, tokens=TOKENS).guess.problems]
    names = "".join(token.value for token in Special)
    frame = Frame(Event.CALL, 1, names, changed={names: replace(slot, text=slot.text + names)})
    trace = Trace(Program((SourceFile(names, names),), "f", 1), (frame,))
    ids = render_trace(trace, tokens=TOKENS)
    assert [i for i in ids if i > 255] == [
        number[t]
        for t in (
            Special.BEGIN,
            Special.CONTEXT,
            Special.FRAME,
            Special.CALL,
            Special.ACTION,
            Special.FRAME,
        )
    ]


def test_a_value_written_again_is_not_changed() -> None:
    """After a reset everything is written in full: what the history knows of a value stays."""
    one = Slot("1", "int", 1)
    text = "def g():\n    pass\ndef f(a):\n    g()\n    return a\n"
    frames = (
        Frame(Event.CALL, 3, "def f(a):", changed={"a": one}),
        Frame(Event.LINE, 4, "    g()"),
        Frame(Event.CALL, 1, "def g():", 1, 1),
        Frame(Event.LINE, 2, "    pass", 1, 1),
        Frame(Event.RETURN, 2, "    pass", 1, 1, value=Slot("None")),
    )
    history = Trace(
        Program((SourceFile("p.py", text),), "f", 3),
        frames,
        run=Run(python="3.11.7", output="x", exit_code=0),
    )
    parsed = parse_trace('<|line_sep|>{"a": "1"}<|action_sep|>    return a\n<|frame_sep|>', program=history)
    assert parsed.frames[-1].changed == {}
    assert (parsed.frames[-1].activation, parsed.frames[-1].line) == (0, 5)
    assert resolve_states(parsed.frames)[-1] == {"a": one}
    assert (parsed.run.python, parsed.run.output, parsed.run.exit_code) == ("", None, None)


def test_a_return_stays_on_its_line_though_a_later_line_reads_the_same() -> None:
    text = "def f(a):\n    if a:\n        return a\n    elif not a:\n        return a\n"
    frames = (
        '<|call_sep|>{"a": "1"}<|action_sep|>def f(a):\n<|frame_sep|>'
        '<|line_sep|>{"a": ".."}<|action_sep|>    if a:\n<|frame_sep|>'
        '<|line_sep|>{"a": ".."}<|action_sep|>        return a\n<|frame_sep|>'
        '<|return_sep|><|action_sep|>        return a\n<|arg_sep|>"1"<|frame_sep|>'
    )
    program = Trace(Program((SourceFile("p.py", text),), "f", 1))
    assert [frame.line for frame in parse_trace(frames, program=program).frames] == [1, 2, 3, 3]


def test_the_entry_is_the_marked_one_of_several_equal_lines() -> None:
    text = "def f():\n    pass\ndef f():\n    return 1\n"
    program = Trace(Program((SourceFile("p.py", text),), "f", 3))
    parsed = parse_trace("<|call_sep|>{}<|action_sep|>def f():\n<|frame_sep|>", program=program)
    assert parsed.frames[0].line == 3


def test_other_threads_of_a_history_do_not_disturb_the_stack() -> None:
    frames = (
        Frame(Event.CALL, 1, "def main():", changed={"a": Slot("1")}),
        Frame(Event.CALL, 1, "def main():", 1, 0, thread=1),
    )
    history = replace(PROGRAM, frames=frames)
    parsed = parse_trace(
        '<|line_sep|>{"a": ".."}<|action_sep|>    a = 1\n<|frame_sep|>', program=history, profile=KTH
    )
    assert parsed.frames[-1].activation == 0
    assert resolve_states(parsed.frames)[-1] == {"a": Slot("1")}


def test_a_dangling_copy_equals_nothing_and_is_written_again() -> None:
    text = PROMPT + '<|call_sep|>{"z": ".."}<|action_sep|>def main():\n<|frame_sep|>'
    parsed = parse_trace(text)
    assert resolve_states(parsed.frames)[0] == {"z": Slot("..")}
    assert render_trace(parsed) == text


def test_ids_need_their_tokens() -> None:
    with pytest.raises(TypeError, match="tokens"):
        parse_trace([1, 2])


def test_an_early_end_is_kept() -> None:
    trace = parse_trace(PROMPT + CALL + END)
    assert trace.outcome is Outcome.RAISED
    assert trace.value is None
    assert render_trace(trace) == PROMPT + CALL + END


def test_default_profile_is_cwm() -> None:
    assert parse_trace(GOOD, tokens=TraceTokens.of_bytes()).profile == CWM.name


@examples(0.6)
@given(st.data(), traces(), profiles())
def test_a_parser_that_follows_the_truth_forks_into_one_that_was_told_all_of_it(
    data: st.DataObject, trace: Trace, profile: FormatProfile
) -> None:
    known = data.draw(st.integers(0, len(trace.frames)))
    rest = render_trace(trace, profile=profile, tokens=TOKENS)[
        len(render_prompt(trace, given=known, profile=profile, tokens=TOKENS)) :
    ]
    ids = data.draw(mutated(rest))
    assume(ids[:1] not in ([TOKENS.ids[Special.BEGIN]], [TOKENS.ids[Special.CONTEXT]]))  # no new program
    told = replace(trace, frames=trace.frames[:known])
    want = parse_trace(ids, program=told, profile=profile, tokens=TOKENS)
    parser = TraceParser(replace(trace, frames=()), profile)
    for frame in told.frames:
        parser.push(frame)
    first, second = parser.fork(), parser.fork()
    for fork in (first, second):  # the second one sees nothing of the first
        fork.feed(ids, TOKENS)
        fork.finish()
        assert tuple(fork.frames) == want.frames[known:]
        assert (tuple(fork.problems), fork.outcome) == (want.guess.problems, want.outcome)
    assert parser.frames == [*told.frames]
    assert parser.problems == []

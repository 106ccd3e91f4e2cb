"""The trace in a generated text is found, whatever stands around it, and only what is lost is lost."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import Trace, render_prompt, render_trace, trace_execution
from cwm_trace.records import Outcome
from cwm_trace.wire.generation import Generation, read_generation

CODE = """\
def g(x):
    y = x + 1
    return str(y)

def f(n):
    out = []
    for i in range(n):
        out.append(g(i))
    return out
"""
REAL = trace_execution(CODE, call="f(2)")
PROMPT = render_prompt(REAL)
GOOD = render_trace(REAL).removeprefix(PROMPT)
OTHER = render_prompt(trace_execution("def h():\n    return 1\n", call="h()"))
END, FRAME = "<|end_of_text|>", "<|frame_sep|>"
TOKENS = re.compile(r"(<\|\w+\|>)")
START = replace(REAL, frames=REAL.frames[:1])


def read(text: str) -> Generation:
    return read_generation(text, START)


def right(generation: Generation) -> int:
    """Frames at their places with their event, line, changes and value."""

    def known(trace: Trace) -> list[object]:
        return [
            (
                frame.event,
                frame.line,
                frame.depth,
                {name: slot and slot.text for name, slot in frame.changed.items()},
                frame.value and frame.value.text,
            )
            for frame in trace.frames
        ]

    return sum(a == b for a, b in zip(known(REAL), known(generation.trace), strict=False))


def spaced(text: str) -> str:
    """As tokenizers decode that put spaces between special tokens."""
    return " ".join(filter(None, TOKENS.split(text)))


WHOLE: dict[str, tuple[Callable[[str], str], str]] = {
    "leading space": (lambda text: f" {text}", "blanks before the trace"),
    "leading newlines": (lambda text: f"\n\n{text}", "blanks before the trace"),
    "trailing newline": (lambda text: f"{text}\n", "tokens after the end token"),
    "second end token": (lambda text: text + END, "tokens after the end token"),
    "padding": (lambda text: f"{text}<|pad|><pad><|finetune_right_pad_id|>", "tokens after the end token"),
    "eot behind": (lambda text: f"{text}<|eot_id|>", "tokens after the end token"),
    "eot instead": (lambda text: text.replace(END, "<|eot_id|>"), ""),
    "im_end instead": (lambda text: text.replace(END, "<|im_end|>\n"), ""),
    "thoughts": (
        lambda text: f"<think>\nso <|line_sep|>{{}}\n</think>\n\n{text}",
        "thoughts before the trace",
    ),
    "thoughts that the prompt began": (lambda text: f'say "x" </think>\n{text}', "thoughts before the trace"),
    "reasoning tokens": (
        lambda text: f"<|reasoning_thinking_start|>hm<|reasoning_thinking_end|>{text}",
        "thoughts before the trace",
    ),
    "prompt": (lambda text: PROMPT + text, "the prompt"),
    "padded prompt": (lambda text: END * 3 + PROMPT + text, "the prompt"),
    "prompt with an example": (lambda text: f"{OTHER}<|line_sep|>{{}}{END}{PROMPT}{text}", "the prompt"),
    "given frame": (
        lambda text: f"<|call_sep|>{{}}<|action_sep|>def main():  # << START_OF_TRACE\n{FRAME}{text}",
        "the given frame, said again",
    ),
    "begin token": (lambda text: f"<|begin_of_text|>{text}", ""),
    "code fence": (lambda text: f"```\n{text}\n```", "tokens after the end token"),
    "prose": (lambda text: f"Here it is:\n{text}\nDone.", "text before the trace"),
    "another problem behind": (lambda text: text + OTHER, "text after the end token"),
    "blanks between": (lambda text: text.replace(FRAME, f"{FRAME}\n"), "blanks between frames"),
    "Windows": (lambda text: text.replace("\n", "\r\n"), "carriage returns"),
    "spaces around tokens": (spaced, "spaces around special tokens"),
    "JSON string": (json.dumps, "the quotes of a JSON string"),
    "HTML": (html.escape, "the escapes of HTML"),
    "byte order mark": (lambda text: f"\ufeff{text}", "a byte order mark"),
}
"""What can be undone, and what the reader says of it."""


@pytest.mark.parametrize("name", WHOLE)
def test_what_stands_around_a_trace_is_no_part_of_it(name: str) -> None:
    disturb, said = WHOLE[name]
    found = read(disturb(GOOD))
    assert right(found) == len(REAL.frames)
    assert (found.trace.guess.problems, found.trace.outcome, found.fault) == ((), Outcome.RETURNED, "")
    assert said == "" or said in found.skipped


@pytest.mark.parametrize("first", WHOLE)
def test_disturbances_come_together(first: str) -> None:
    assert right(read(WHOLE[first][0](f"\n{GOOD}{END}"))) == len(REAL.frames)


BROKEN: dict[str, tuple[Callable[[str], str], int, str]] = {
    "no last separator": (lambda text: text.replace(FRAME + END, END), 20, "no separator behind it"),
    "no event of the first frame": (lambda text: text.removeprefix("<|line_sep|>"), 20, "token of its event"),
    "no event of a call": (lambda text: text.replace("<|call_sep|>", "", 1), 20, "token of its event"),
    "no event of a return": (lambda text: text.replace("<|return_sep|>", "", 1), 20, "token of its event"),
    "two separators": (lambda text: text.replace(FRAME, FRAME + FRAME, 1), 20, "separator without a frame"),
    "prose between": (lambda text: text.replace(FRAME, f"{FRAME}and then ", 2), 20, "text between frames"),
    "one locals": (lambda text: text.replace('{"n": ".."}', "{", 1), 19, "the locals are not JSON"),
}
"""What is wrong and stays wrong, how many frames are right all the same, and the problem."""


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_missing_takes_nothing_else_along(name: str) -> None:
    break_it, frames, problem = BROKEN[name]
    found = read(break_it(GOOD))
    assert right(found) >= frames
    assert len(found.trace.frames) == len(REAL.frames)
    assert any(problem in known.message for known in found.trace.guess.problems)


NONE = {
    "": "it is empty",
    " \n": "it is empty",
    "<|eot_id|><|pad|>": "it is empty",
    "I think the answer is 3.": "there is no frame in it, only 'I think the answer is 3.'",
    TOKENS.sub("", GOOD): "decode it again with skip_special_tokens=False",
    "<think> first, f is called": "ends inside its thoughts",
    OTHER + GOOD: "the prompt of another program",
}


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_trace_says_why(text: str) -> None:
    found = read(text)
    assert NONE[text] in found.fault
    assert found.trace.frames == REAL.frames[:1]
    assert found.trace.guess.problems
    assert found.is_other == ("another program" in found.fault)


def test_an_end_at_once_and_a_cut_text_are_predictions() -> None:
    assert (read(END).fault, read(END).trace.outcome) == ("", Outcome.RAISED)
    cut = read(GOOD[: len(GOOD) // 2])
    assert (right(cut), len(cut.trace.frames), cut.trace.outcome) == (11, 11, Outcome.INCOMPLETE)
    assert [problem.grade for problem in cut.trace.guess.problems] == ["truncated"]
    unended = read(GOOD.removesuffix(END))
    assert (right(unended), unended.trace.guess.problems) == (20, ())
    unclosed = read(GOOD.removesuffix(FRAME + END))
    assert (right(unclosed), unclosed.trace.guess.problems) == (20, ())


def test_tokens_in_values_are_characters() -> None:
    """What a program says about tokens of others is not theirs."""
    code = "def f():\n    text = '</s><|eot_id|> </think> ```'\n    return text + '\\r\\n'\n"
    real = trace_execution(code, call="f()")
    text = render_trace(real).removeprefix(render_prompt(real))
    found = read_generation(text, replace(real, frames=real.frames[:1]))
    assert found.trace.guess.problems == ()
    assert found.trace.value is not None
    assert real.value is not None
    assert found.trace.value.text == real.value.text


PIECES = st.sampled_from(
    [*TOKENS.findall(GOOD), "{}", '"3"', "\n", "<think>", "</think>", "```", "x", "&lt;|", '"']
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30))
def test_the_reader_is_total(text: str) -> None:
    found = read(text)
    assert found.trace.frames[:1] == REAL.frames[:1]


@given(st.integers(0, len(GOOD)))
def test_every_beginning_has_the_frames_that_are_whole(size: int) -> None:
    found = read(GOOD[:size])
    assert right(found) == len(found.trace.frames) >= GOOD[:size].count(FRAME)

"""Laws on 200 real programs that nobody here wrote: CRUXEval's, at the path in `CWM_TRACE_CRUXEVAL`."""

from __future__ import annotations

import os

import pytest

from cwm_trace import CWM, Trace, TraceTokens, parse_trace, render_prompt, render_trace, trace_execution
from cwm_trace.datasets.loaders.cruxeval import CruxEvalItem, load_cruxeval
from cwm_trace.wire.render import FrameRenderer

PATH = os.environ.get("CWM_TRACE_CRUXEVAL", "")
pytestmark = pytest.mark.skipif(not PATH, reason="CWM_TRACE_CRUXEVAL names no file")


@pytest.fixture(scope="module")
def recorded() -> list[tuple[CruxEvalItem, Trace]]:
    items = list(load_cruxeval(PATH))
    return [(item, trace_execution(item.code, call=item.call, capture_output=True)) for item in items]


def test_every_value_is_the_published_output(recorded: list[tuple[CruxEvalItem, Trace]]) -> None:
    assert recorded
    wrong = [item.id for item, trace in recorded if trace.value is None or trace.value.text != item.output]
    assert wrong == []


def test_the_text_is_exactly_prompt_plus_generation(recorded: list[tuple[CruxEvalItem, Trace]]) -> None:
    for item, trace in recorded:
        prompt = (
            f"<|begin_of_text|><|trace_context_start|>\n{item.code}\n"
            f"def main():  # << START_OF_TRACE\n    return {item.call}\n<|frame_sep|>"
            "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
        )
        assert render_prompt(trace) == prompt
        text = render_trace(trace)
        assert text.startswith(f"{prompt}<|line_sep|>{{}}<|action_sep|>    return {item.call}\n<|frame_sep|>")
        assert text.endswith("<|frame_sep|><|end_of_text|>")


def test_parsing_gives_equal_frames_back(recorded: list[tuple[CruxEvalItem, Trace]]) -> None:
    tokens = TraceTokens.of_bytes()
    for _, trace in recorded:
        parsed = parse_trace(render_trace(trace, tokens=tokens), tokens=tokens)
        assert parsed.guess.problems == ()
        assert parsed.outcome is trace.outcome
        assert visible(parsed) == visible(trace)
        assert render_trace(parsed, tokens=tokens) == render_trace(trace, tokens=tokens)


def visible(trace: Trace) -> list[tuple[object, ...]]:
    """What the wire shows, and what the parser finds out about it."""
    renderer = FrameRenderer(trace, CWM)
    return [
        (frame.event, *renderer.texts(frame), frame.line, frame.activation, frame.depth)
        for frame in trace.frames
    ]

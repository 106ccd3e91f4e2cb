"""The grammar `flow`: what really happens is never out of reach, and only what Python could do is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from cwm_trace import trace_execution
from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item_recording import record_item
from cwm_trace.flow import Flow, analyse
from cwm_trace.model.predict.guide import START, Names, read_program
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Event, Frame, Limits, Trace
from cwm_trace.strategies import DrawnProgram, programs
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import main_thread, render_trace
from cwm_trace.wire.tokens import Special
from tests.effort import examples, rest_in_ci
from tests.model.predict.examples import (
    Reciting,
    guessing,
    predictor,
    real_traces,
    start_of,
    taught_decoder,
    tokens,
)
from tests.model.predict.walks import grammar, takes, vocabulary
from tests.traces import profiles

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.py"))
FAMILIES = ("general-v1", "generators", "exceptions", "closures", "objects", "recursion", "library")


def recited(real: Trace) -> Trace:
    """The forced prediction of a model that knows the trace by heart."""
    decoder = Reciting(render_trace(real, tokens=tokens()))
    engine = predictor(decoder, grammar="flow", max_text_tokens=None, max_frame_tokens=10**6)
    engine.setup = replace(engine.setup, length=10**6)
    return engine.predict(Request(start_of(real), "forced", real))


def everything_is_in_reach(real: Trace) -> None:
    shown = main_thread(real)
    if len(shown) < 2 or len(render_trace(real, tokens=tokens())) > 20_000:
        return
    got = recited(real)
    assert got.warnings == () or "cannot be shown" in got.warnings[0]
    for frame, true in zip(main_thread(got), shown, strict=False):
        assert (frame.event, frame.source, value_in_text(frame)) == (
            true.event,
            true.source,
            value_in_text(true),
        )
        assert not true.source or frame.file == true.file


def value_in_text(frame: Frame) -> str | None:
    """A frame's value as CWM's text has it, where a RETURN that an exception makes is one of `None`."""
    if frame.value is None:
        return "None" if frame.event is Event.RETURN else None
    return frame.value.text


def test_the_truth_of_small_programs_is_in_reach() -> None:
    for real in real_traces()[:10]:
        assert recited(real).frames == recited(replace(real)).frames
        everything_is_in_reach(real)


@pytest.mark.parametrize("sample", rest_in_ci(SAMPLES, 12), ids=lambda path: path.stem)
def test_the_truth_of_samples_is_in_reach(sample: Path) -> None:
    everything_is_in_reach(trace_execution(sample, limits=Limits(max_frames=120), capture_output=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_truth_of_generated_programs_is_in_reach(family: str) -> None:
    for number in range(2):
        everything_is_in_reach(record_item(make_item(family, number, seed=5), Limits(max_frames=120)))


@pytest.mark.parametrize("kind", ["bytes", "built"])
@examples(0.12)
@given(program=programs(max_statements=3), profile=profiles())
def test_true_frames_are_legal_in_the_tokenizers_spelling(
    kind: str, program: DrawnProgram, profile: FormatProfile
) -> None:
    """A forced token is the true one, whatever the vocabulary and however values are written."""
    trace = trace_execution(program.source, call=program.call)
    words, _ = vocabulary(kind)
    rules = grammar(kind, trace, profile)
    reading = read_program(replace(trace, frames=()), Flow(analyse(trace)), profile)
    for frame in main_thread(trace)[:60]:
        state = rules.start(reading.opening)
        ids = words.encode_pieces(reading.push(frame))
        assert takes(state, ids), (frame, words.decode(state.ids))


def test_known_names_and_values_that_cannot_change_are_no_choice() -> None:
    trace = trace_execution(
        "def f(alpha, beta):\n    gamma = alpha\n    beta = 2\n    return gamma\n", call="f(1, [])"
    )
    for kind in ("bytes", "built"):
        words, _ = vocabulary(kind)
        rules = grammar(kind, trace)
        reading = read_program(
            replace(trace, frames=trace.frames[:3]), Flow(analyse(trace), trace.frames[:3]), CWM
        )
        state = rules.start(reading.opening)
        state.take(words.ids[Special.LINE])
        while (ids := state.legal.ids) is not None and len(ids) == 1:
            state.take(ids[0])
        text = words.decode(state.ids[1:])
        whole = '{"alpha": "..", "beta": "'
        assert whole.startswith(text)
        assert len(text) > len('{"alpha": "..", "')  # the end of its name may be one token with the value


@pytest.mark.parametrize("mode", ["forced", "free", "reground-3"])
def test_what_is_predicted_is_possible(mode: str) -> None:
    for decoder in (taught_decoder(), guessing()):
        engine = predictor(decoder, grammar="flow")
        for real in real_traces()[:10]:
            got = engine.predict(Request(start_of(real), mode, real, max_frames=8))
            analysis = analyse(real)
            assert not analysis.reason
            for place in range(1, len(got.frames)):
                history = real.frames[:place] if mode == "forced" else got.frames[:place]
                frame = got.frames[place]
                if not frame.source or frame.event is Event.END:
                    break  # it was cut
                if mode == "reground-3" and (place - 1) % 3 == 0:
                    history = real.frames[:place]
                elif mode == "reground-3":
                    continue  # its history is the truth and what was said after it
                legal = Flow(analysis, history).legal()
                lines = legal.lines.get(frame.event)
                assert frame.event in legal.events
                texts = {real.files[0].text.split("\n")[line - 1] for _, line in lines or ()}
                assert lines is None or frame.source in texts


@pytest.mark.parametrize("mode", ["free", "forced", "reground-3"])
def test_drafts_change_nothing_and_what_is_forced_is_not_asked_for(mode: str) -> None:
    """Neither guesses nor the truth as a draft; and a level that knows more never costs more passes."""
    real, passes = real_traces()[4], {"frame": 0, "flow": 0}
    truths = (real, None) if mode == "free" else (real,)
    for decoder in (taught_decoder(), guessing()):
        for level in passes:
            engine = predictor(decoder, grammar=level, drafts=False)
            plain = engine.predict(Request(start_of(real), mode, truths[-1], max_frames=4))
            assert plain.guess.cost is not None
            passes[level] += plain.guess.cost.forward_passes
            for truth in truths:
                request = Request(start_of(real), mode, truth, max_frames=4)
                drafted = predictor(decoder, grammar=level).predict(request)
                assert drafted.frames == plain.frames
                assert drafted.guess.cost is not None
                assert drafted.guess.cost.forward_passes <= plain.guess.cost.forward_passes
    assert passes["flow"] < passes["frame"]


def test_a_program_of_another_python_falls_back_and_says_so() -> None:
    real = replace(real_traces()[0], run=replace(real_traces()[0].run, python="3.99.1"))
    got = predictor(grammar="flow").predict(Request(start_of(real), "forced", real))
    plain = predictor().predict(Request(start_of(real), "forced", real))
    assert got.frames == plain.frames
    assert got.warnings == (f"predicted under the grammar 'frame': {analyse(real).reason}",)


def test_a_real_frame_that_flow_calls_impossible_is_no_fault_of_the_model() -> None:
    real = real_traces()[0]
    odd = replace(real, frames=(*real.frames[:3], real.frames[1], *real.frames[3:]))
    got = predictor(grammar="flow").predict(Request(start_of(odd), "forced", odd))
    assert got.frames == predictor().predict(Request(start_of(odd), "forced", odd)).frames
    assert "real frames impossible, first frame 3, " in got.warnings[0]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"a": "..", "b": "1"}', True),
        ('{"a": "..", "b": "\\\\\\""}', True),
        ('{"a": "..", "gone": "", "b": "1", "new": "", "c": ""}', True),
        ('{"a": "..", "b": "1", "c": "", "new": ""}', True),
        ('{"b', False),  # a comes first
        ('{"a": "..", "b": "1", "gone', False),  # its place is before b
        ('{"a": "1"', False),  # it has not changed
        ('{"a": ".."}', False),  # b cannot have gone
        ('{"a": "..", "c', False),  # new names come last
        ('{"d', False),  # there is no such name
        ('{"a": "..", "a', False),
        ('{"a": "..",  "b', False),
        ('{"a" : ', False),
        ("{}", False),
    ],
)
def test_locals_are_followed_by_character(text: str, fits: bool) -> None:
    names = Names(["a", "gone", "b"], frozenset(["a", "b", "c", "gone", "new"]), frozenset("ab"), {"a": ".."})
    assert (names.after(START, text) is not None) == fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("{}", True),
        ('{"x": "\\"", "y": ""}', True),
        ('{"x": "", "x', True),  # of xs, perhaps
        ('{"x": "", "x"', False),
        ('{"x" :', False),
        ("[", False),
    ],
)
def test_where_nothing_is_known_locals_are_well_formed(text: str, fits: bool) -> None:
    assert (Names().after(START, text) is not None) == fits


def test_what_must_come_next_is_forced() -> None:
    names = Names(
        ["a", "bc", "bd"], frozenset(["a", "bc", "bd", "e"]), frozenset(["a", "bd"]), {"a": "..", "bd": "2"}
    )

    def forced(text: str) -> str:
        place = names.after(START, text)
        assert place is not None
        return names.forced(place)

    assert forced("") == '{"a": "..", "b'  # c or d
    assert forced('{"a": "..", "bc') == '": "'
    assert forced('{"a": "..", "bc": "1"') == ', "bd": "2"'  # then e, or the end
    assert forced('{"a": "..", "bd": "2", ') == '"e": "'
    assert forced('{"a": "..", "bd": "2", "e": "1"') == "}"
    assert forced('{"a": "..", "bd": "2", "e": "1"}') == ""
    assert Names().forced(START) == "{"

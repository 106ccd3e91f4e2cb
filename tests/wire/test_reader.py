"""Reading frame by frame is parsing; a fork goes on by itself; the events that are legal break no stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from cwm_trace.records import Event, Frame, Outcome, Program, SourceFile, Trace
from cwm_trace.wire.parse import parse_trace, split
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import STATEFUL, main_thread
from cwm_trace.wire.stack import Fault
from cwm_trace.wire.tokens import EVENT_TOKENS, Piece, Special
from tests.effort import examples
from tests.traces import TOKENS, mutated, profiles, traces

DROPPED = FormatProfile(unwinding_return="dropped")


@st.composite
def continued(
    draw: st.DrawFn, trace: Trace, profile: FormatProfile
) -> tuple[Trace, Sequence[Frame], list[int]]:
    """A trace up to some frame, the frames that follow, and their ids."""
    frames = main_thread(trace)
    known = draw(st.integers(0, len(frames)))
    history = replace(trace, frames=tuple(frames[:known]))
    reader = FrameReader(history, profile)
    pieces = [piece for frame in frames[known:] for piece in reader.push(frame)]
    return history, frames[known:], TOKENS.encode_pieces(pieces)


def read(reader: FrameReader, ids: Sequence[int]) -> tuple[list[Frame], list[Fault], Outcome]:
    """Read what a model wrote as the engine does: a frame at each separator, the end at the end token."""
    frames: list[Frame] = []
    faults: list[Fault] = []
    buffer: list[Piece] = []
    for _, piece in split(ids, TOKENS):
        if piece is Special.FRAME:
            frame, found = reader.read(buffer)
            frames += [frame] if frame is not None else []
            faults += found
            buffer = []
        elif piece is Special.END:
            outcome, found = reader.end()
            return frames, [*faults, *found], outcome
        else:
            buffer.append(piece)
    return frames, faults, Outcome.INCOMPLETE


@examples(0.6)
@given(traces(), profiles(), st.data())
def test_a_fork_reads_as_the_parser(trace: Trace, profile: FormatProfile, data: st.DataObject) -> None:
    history, _, ids = data.draw(continued(trace, profile))
    known = len(history.frames)
    if data.draw(st.booleans()):
        ids = data.draw(mutated(ids))
        first = [piece for _, piece in split(ids, TOKENS)][:1]
        assume(first not in ([Special.BEGIN], [Special.CONTEXT]))  # which the parser takes for a context
    if data.draw(st.booleans()):
        ids = [*ids, TOKENS.ids[Special.END]]
    parsed = parse_trace(ids, program=history, profile=profile, tokens=TOKENS)
    pushed = FrameReader(replace(trace, frames=()), profile)
    for frame in history.frames:
        pushed.push(frame)
    for reader in (pushed.fork(), pushed, FrameReader(history, profile).fork()):
        read_frames, faults, outcome = read(reader, ids)
        assert read_frames == list(parsed.frames[known:])
        assert outcome is parsed.outcome
        whole = [
            (problem.grade, problem.message)
            for problem in parsed.guess.problems
            if problem.grade != "truncated"
            and problem.message not in ("the trace ends inside a frame", "text after the end of the trace")
        ]
        assert faults == whole


@examples(0.6)
@given(traces(), profiles(), st.data())
def test_a_fork_changes_nothing_in_what_it_comes_from(
    trace: Trace, profile: FormatProfile, data: st.DataObject
) -> None:
    history, _, ids = data.draw(continued(trace, profile))
    reader = FrameReader(history, profile)
    other, idle = reader.fork(), reader.fork()
    read(other, data.draw(mutated(ids)))
    want = read(FrameReader(history, profile), ids)
    assert read(reader, ids) == want
    assert read(idle, ids) == want


@examples(0.6)
@given(traces(), profiles(), st.data())
def test_the_legal_events_are_those_that_break_no_stack(
    trace: Trace, profile: FormatProfile, data: st.DataObject
) -> None:
    history, _, ids = data.draw(continued(trace, profile))
    ids = data.draw(st.sampled_from([[], ids]) | mutated(ids))
    assume(TOKENS.ids[Special.END] not in ids)
    reader = FrameReader(history, profile)
    assume(all(grade not in ("tokens", "stack") for grade, _ in read(reader, ids)[1]))  # broken already
    source = data.draw(st.sampled_from(trace.files[0].text.split("\n")))
    for event in Event:
        assert ("stack" in grades(reader.fork(), event, source)) == (event not in reader.legal_events), event


def grades(reader: FrameReader, event: Event, source: str) -> list[str]:
    """The grades that one more frame, or the end, breaks."""
    if event is Event.END:
        return [grade for grade, _ in reader.end()[1]]
    texts: list[Piece] = ["{}", Special.ACTION, source + "\n"]
    if event not in STATEFUL:
        texts = [Special.ACTION, source + "\n", Special.ARG, '"None"']
    return [grade for grade, _ in reader.read([EVENT_TOKENS[event], *texts])[1]]


def test_an_exception_may_leave_several_calls_unseen() -> None:
    """`__exit__` is called while an exception is on its way, and raises one of its own."""
    program = Trace(Program((SourceFile("p.py", "def f():\n    with g:\ndef e():\n    raise\n"),), "f", 1))
    reader = FrameReader(program, DROPPED)
    for event, source in (
        (Event.CALL, "def f():"),
        (Event.LINE, "    with g:"),
        (Event.EXCEPTION, "    with g:"),
        (Event.CALL, "def e():"),
        (Event.LINE, "    raise"),
    ):
        grades(reader, event, source)
        assert Event.END not in reader.legal_events or event is Event.EXCEPTION
    grades(reader, Event.EXCEPTION, "    raise")
    assert Event.END in reader.legal_events
    assert reader.end() == (Outcome.RAISED, [])

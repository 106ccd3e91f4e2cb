"""What the entry's own stack is compared with: not with other threads, exit handlers, or other files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cwm_trace import compare_execution, predict_execution, trace_execution
from cwm_trace.eval.comparison import compare
from cwm_trace.records import Event, Frame, Guess, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.viewer.columns import pack_guess

THREAD = """
import threading

def work(n):
    return n + 1

worker = threading.Thread(target=work, args=(3,))
worker.start()
worker.join()
last = 1
"""
MODES = ["free", "output", "step-over-0"]


def own(trace: Trace) -> Trace:
    """A prediction that says all of the entry's own thread, and no more."""
    frames = tuple(frame for frame in trace.frames if not frame.thread)
    return replace(trace, frames=frames, guess=Guess("free", 1))


def test_frames_of_other_threads_shift_nothing() -> None:
    real = trace_execution(THREAD)
    assert {frame.thread for frame in real.frames} == {0, 1}
    comparison = compare(real, own(real))
    assert comparison.first_divergence is None
    assert len(comparison.pairs) == len(own(real).frames)
    assert [real.frames[place].thread for place in comparison.places] == [0] * len(comparison.places)
    assert pack_guess(comparison, real).index["at"] == [*comparison.places]


def test_two_recordings_are_compared_with_all_threads() -> None:
    real = trace_execution(THREAD)
    other = replace(own(real), guess=Guess())
    assert compare(real, real).first_divergence is None
    assert compare(real, other).first_divergence is not None


@pytest.mark.parametrize("mode", MODES)
def test_what_ran_before_the_entry_is_given(mode: str) -> None:
    """As the `__init__` of a package is before the module of `run -m`."""
    script = trace_execution("x = 1\ny = x\n")
    before = (Frame(Event.CALL, 0, "", 7, thread=1, file=1), Frame(Event.RETURN, 0, "", 7, thread=1, file=1))
    files = (*script.files, SourceFile("pk/__init__.py", ""))
    real = replace(script, program=replace(script.program, files=files), frames=(*before, *script.frames))
    guess = predict_execution(script.files[0].text, call=None, model="oracle", mode=mode, history=real)
    assert not guess.frames[guess.guess.given - 1].thread
    comparison = compare_execution(real, guess)
    assert comparison.first_divergence is None
    assert comparison.output
    copied = predict_execution(script.files[0].text, call=None, model="copy", mode=mode, history=real)
    assert copied.guess.given == 3
    assert compare_execution(real, copied).pairs[1].event


def test_an_exit_handler_is_not_the_entry() -> None:
    source = "def bye():\n    return 7\nx = 1\n"
    files = Program((SourceFile("p.py", source),), "<module>")
    frames = (
        Frame(Event.CALL, 0, ""),
        Frame(Event.LINE, 3, "x = 1"),
        Frame(Event.RETURN, 3, "x = 1", value=Slot("None", "NoneType")),
        Frame(Event.CALL, 1, "def bye():", 1),
        Frame(Event.RETURN, 2, "    return 7", 1, value=Slot("7", "int")),
    )
    real = Trace(files, frames, Outcome.RETURNED)
    assert real.entry_return == 2
    assert real.value == Slot("None", "NoneType")
    for mode in MODES:
        guess = predict_execution(source, model="copy", mode=mode, history=real)
        assert compare_execution(real, guess).output, mode
    for count in (3, 5):  # a model ends with the entry; who knows more is compared with more
        guess = replace(real, frames=frames[:count], guess=Guess("free", 1))
        score = compare_execution(real, guess).score
        assert (score.trace_exact, score.length, score.halting) == (True, count - 1, "right")
    guess = replace(real, frames=(*frames[:3], frames[1]), guess=Guess("free", 1))
    assert compare_execution(real, guess).score.trace_exact is False


def test_a_line_is_one_of_its_file() -> None:
    source, module = "import m\n", "def f():\n    pass\n"
    files = Program((SourceFile("p.py", source), SourceFile("m.py", module), SourceFile("n.py", module)), "")
    frames = (Frame(Event.CALL, 1, "def f():", file=1), Frame(Event.LINE, 2, "    pass", file=1))
    real = Trace(files, frames)
    elsewhere = replace(real, frames=(frames[0], replace(frames[1], file=2)), guess=Guess("free", 1))
    assert not compare(real, elsewhere).pairs[1].control


def test_files_are_known_by_their_names_and_texts() -> None:
    """Another run imports the modules of a program in another order, or lies in another folder."""
    files = [
        SourceFile("p.py", "import m, n\n"),
        SourceFile("a/m.py", "x = 1\n"),
        SourceFile("a/n.py", "y = 1\n"),
    ]
    frames = (Frame(Event.LINE, 1, "x = 1", file=1), Frame(Event.LINE, 1, "y = 1", file=2))
    real = Trace(Program(tuple(files), ""), frames)
    turned = tuple(replace(frame, file=3 - frame.file) for frame in frames)
    for folder in ("a", "b"):
        moved = [replace(file, name=file.name.replace("a/", f"{folder}/")) for file in files]
        other = Trace(Program((moved[0], moved[2], moved[1]), ""), turned)
        comparison = compare(real, other)
        assert all(pair.control for pair in comparison.pairs), folder
        assert compare(real, replace(other, frames=frames)).score.next_lines.f1 == 0

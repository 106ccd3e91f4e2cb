"""Sessions of programs: recorded now, or read from a file; and the truth of a what-if, run in the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwm_trace import trace_execution, write_trace
from cwm_trace.debug.console import Console
from cwm_trace.debug.opening import open_console
from cwm_trace.debug.running import Opening
from cwm_trace.errors import CwmTraceError
from tests.debug.programs import NESTED

RANDOM = "import os\n\n\ndef f(n):\n    a = os.getpid()\n    b = os.urandom(4)\n    return n + a\n"


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "p.py"
    path.write_text(NESTED)
    return str(path)


def opened(program: str, **options: object) -> Console:
    return open_console(Opening(program, **{"model": "copy", **options}))  # type: ignore[arg-type]


def test_a_what_if_has_the_truth_of_a_run_in_which_it_is_so(program: str) -> None:
    console = opened(program, call="total([1, 2])")
    console.say("mode real")
    console.say("jump 14")
    reply = console.say("set x = 50")
    assert reply.data["truth"] == "fork1-truth"
    truth, real = (console.session.tracks[name] for name in ("fork1-truth", "real"))
    assert truth.timeline.frames[: truth.position] == real.timeline.frames[: real.position]
    console.say("mode fork1-truth")
    assert "→ 108" in console.say("continue").text  # (50 + 1) * 2 + (2 + 1) * 2
    console.say("mode fork1-truth")
    console.say("goto 6")
    console.say("set x = 0")  # both are written: the second what-if is one of the first
    assert len(console.session.current.edits) == 2
    assert "→ 1" in console.say("return").text


def test_a_program_that_does_not_repeat_has_no_truth_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(RANDOM)
    console = opened(str(tmp_path / "p.py"), call="f(1)")
    console.say("mode real")
    console.say("jump 7")
    reply = console.say("set n = 2")
    assert "it has no truth: when the program ran again it differed at frame 5, before" in reply.text
    assert reply.data["truth"] is None


def test_a_trace_file_is_never_run_unless_its_program_is_named(program: str, tmp_path: Path) -> None:
    path = str(tmp_path / "t.jsonl")
    write_trace(trace_execution(program, call="total([1, 2])"), path)
    alone = open_console(Opening(trace=path, model="copy"))
    alone.say("mode real")
    alone.say("jump 14")
    assert alone.say("set x = 50").data["truth"] is None
    with pytest.raises(CwmTraceError, match="cannot be run again"):
        alone.say("truth")
    named = opened(program, trace=path)
    named.say("mode real")
    named.say("jump 14")
    assert named.say("set x = 50").data["truth"] is None  # only when it is asked for
    named.say("truth")
    named.say("mode fork1-truth")
    assert "→ 108" in named.say("continue").text


def test_a_script_is_recorded_without_the_sandbox_as_run_records_it(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import sys\nx = len(sys.argv)\nprint(x)\n")
    console = opened(str(tmp_path / "p.py"), arguments=["a", "b"], sandbox=False)
    console.say("mode real")
    console.say("last")
    assert console.say("p x").text == "3"


def test_a_prediction_alone_never_runs_the_program(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nx = 1\n")
    console = opened(str(tmp_path / "p.py"), real=False)
    assert list(console.session.tracks) == ["predicted"]
    console.say("continue")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"file": ""}, "nothing to debug"),
        ({"trace": "none.jsonl"}, "cannot read none.jsonl"),
        ({"call": "f("}, "not an expression"),
        ({"file": "none.py"}, "cannot read none.py"),
        ({"model": "nobody"}, "no model 'nobody'"),
        ({"trace": "OTHER"}, "of another program"),
        ({"trace": "PREDICTED", "file": ""}, "is a prediction"),
    ],
)
def test_what_cannot_be_opened_is_a_sentence(
    program: str, tmp_path: Path, options: dict[str, str], why: str
) -> None:
    if options.get("trace") == "OTHER":
        write_trace(trace_execution("x = 1\n"), tmp_path / "OTHER")
        options = {"trace": str(tmp_path / "OTHER")}
    if options.get("trace") == "PREDICTED":
        opened(program, real=False).say(f"export jsonl {tmp_path / 'PREDICTED'}")
        options = {"trace": str(tmp_path / "PREDICTED"), "file": ""}
    given: dict[str, str] = {"file": program, "model": "copy", **options}
    with pytest.raises(CwmTraceError, match=why):
        open_console(Opening(**given))  # type: ignore[arg-type]


def test_mini_is_stepped_through(program: str) -> None:
    pytest.importorskip("torch")
    console = opened(program, call="g(2)", model="mini")
    console.say("mode predicted")
    console.say("step")
    reply = console.say("step")
    assert reply.data["stopped"][0]["surprise"] >= 0
    assert "gives it the probability" in console.say("why").text

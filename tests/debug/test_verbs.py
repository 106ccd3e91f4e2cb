"""What one says to a session, and what it answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cwm_trace import read_trace, trace_execution
from cwm_trace.debug.console import Console
from cwm_trace.debug.session import Session
from cwm_trace.debug.verbs import ALIASES, VERBS, find_verb
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event
from tests.debug.programs import CAUGHT, NESTED, console_of, positions, record


@pytest.fixture
def console() -> Console:
    return console_of(record(NESTED, "total([1, 2])"))


def say(console: Console, *lines: str) -> str:
    """The answer to the last of the lines."""
    return [console.say(line) for line in lines][-1].text


def test_a_walk(console: Console) -> None:
    assert say(console, "mode real", "jump 14", "p t, x") == "(0, 1)"
    assert say(console, "step") == "real 6  <source>:1 in g  call\n-> def g(x):\n   x=1"
    assert say(console, "where").splitlines()[-1] == "> <source>:1 in g: def g(x):"
    assert "> <source>:14 in total: t += f(g(x))" in say(console, "up", "where")
    assert say(console, "p xs") == "[1, 2]"
    assert say(console, "down", "whatis x") == "int, size 1"
    assert say(console, "return").splitlines()[-1] == "   → 2"


def test_a_value_is_shown_where_there_is_one(console: Console) -> None:
    reply = (console.say("jump 14"), console.say("p t + x"))[1]
    assert reply.text.splitlines()[0] == "real       1"
    assert "no variable" in reply.text.splitlines()[1]
    with pytest.raises(CwmTraceError, match="no variable"):
        console.say("p nothing")


def test_values_have_a_history(console: Console) -> None:
    say(console, "mode real", "last", "back", "rnext")
    text = say(console, "history t")
    assert [line.split()[3] for line in text.splitlines()] == ["0", "4", "10"]
    assert re.fullmatch(
        r"t is 10 since frame \d+: <source>:14 in total, frame \d+: t \+= f\(g\(x\)\)",
        say(console, "lastchange t"),
    )
    console.say("goto 3")
    assert "later" in say(console, "history t")


def test_stops_are_listed_changed_and_cleared(console: Console) -> None:
    say(
        console,
        "mode real",
        "break f",
        "break 14, t > 0",
        "tbreak 2",
        "watch t",
        "catch",
        "logpoint 13, at {t}",
    )
    assert say(console, "break").splitlines() == [
        "1: f",
        "2: line 14, if t > 0",
        "3: line 2, once",
        "4: t changes in main",
        "5: exception",
        "6: line 13, log 'at {t}'",
    ]
    assert say(console, "ignore 1 1", "condition 2", "disable 3", "clear 4", "break").splitlines()[:3] == [
        "1: f, hits >1",
        "2: line 14",
        "3: line 2, once, disabled",
    ]
    assert say(console, "clear", "break") == "no stop is set"


def test_comments_and_blank_lines_of_code_lead_to_the_next_line(console: Console) -> None:
    assert say(console, "break 5") == "stop 1: line 6"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("stpe", "did you mean step"),
        ("xyzzy", "'help' lists the verbs"),
        ("break 999", "no code at line 999"),
        ("break nothing", "no function nothing"),
        ("break totl", "did you mean total"),
        ("break other.py:1", "no file other.py"),
        ("break --surprise x", "no bound"),
        ("watch a.b", "no variable"),
        ("goto 9999", "no frame 9999"),
        ("goto -1", "no frame"),
        ("clear 7", "no stop 7"),
        ("mode wrong", "no 'wrong' here"),
        ("accept 1", "no alternative 1"),
        ("p", "needs an expression"),
        ("p total", "no variable 'total'"),
        ("until x", "no line"),
        ("break 3, total ==", "total =="),
        ("disable x", "say disable 1"),
        ("step 3", "takes no argument"),
        ("history nothing", "no variable 'nothing'"),
        ("set x", "set x = 3"),
        ("set x = f(1)", "no literal"),
        ("script nothing.txt", "cannot read"),
        ("sample", "draws nothing"),
        ("truth", "no what-if"),
        ("model nobody", "no model 'nobody'"),
        ("export html", "say export"),
        ("export pdf x", "say export"),
        ("list 100", "lines"),
        ("reject", "no fork"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_changes_nothing(console: Console, line: str, why: str) -> None:
    before = positions(console)
    with pytest.raises(CwmTraceError, match=re.escape(why)):
        console.say(line)
    assert positions(console) == before


def test_a_what_if_is_a_fork(console: Console) -> None:
    console.say("mode real")
    console.say("jump 14")
    reply = console.say("set t = 50")
    assert reply.data["track"] == "fork1"
    assert "what if: t = 50" in reply.text
    assert say(console, "p t") == "50"
    assert say(console, "reject", "p t") == "0"
    assert "fork1" in say(console, "tracks")


def test_alternatives_are_offered_and_accepted(console: Console) -> None:
    say(console, "mode real", "jump 14", "ground")
    offered = console.say("alternatives").data["alternatives"]
    assert {"line", "call"} <= {each["event"] for each in offered}
    number = [each["event"] for each in offered].index("call") + 1
    assert console.say(f"accept {number}").arrivals[0].track.frame.event.value == "call"


def test_compare_says_where_the_prediction_leaves_the_truth(console: Console) -> None:
    console.say("continue")
    reply = console.say("compare")
    assert isinstance(reply.data["divergence"], int)
    assert "predicted leaves the truth at frame" in reply.text
    console.say("break --divergence")
    console.say("mode predicted")
    console.say("first")
    assert console.say("continue").arrivals[0].index == reply.data["divergence"]


def test_displays_follow_every_move(console: Console) -> None:
    console.say("mode real")
    console.say("display t * 2")
    assert "t * 2 = 0" in say(console, "jump 14")
    assert say(console, "undisplay t * 2", "step").count("t * 2") == 0


def test_scripts_and_saved_sessions_say_the_same_again(console: Console, tmp_path: Path) -> None:
    say(console, "mode real", "break 14", "continue", f"save {tmp_path}/steps.txt")
    again = console_of(record(NESTED, "total([1, 2])"))
    again.say(f"script {tmp_path}/steps.txt")
    assert positions(again) == positions(console)
    (tmp_path / "loop.txt").write_text(f"script {tmp_path}/loop.txt\n")
    with pytest.raises(CwmTraceError, match="without end"):
        again.say(f"script {tmp_path}/loop.txt")


def test_an_execution_is_exported_as_a_trace_file(console: Console, tmp_path: Path) -> None:
    console.say("continue")
    for mode in ("real", "predicted"):
        console.say(f"mode {mode}")
        console.say(f"export jsonl {tmp_path}/{mode}.jsonl")
        track = console.session.tracks[mode]
        assert list(read_trace(tmp_path / f"{mode}.jsonl").frames) == track.timeline.frames


def test_all_of_them_are_exported_as_a_page(console: Console, tmp_path: Path) -> None:
    console.say("continue")
    console.say(f"export html {tmp_path}/page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.startswith("<!")
    assert "predicted" in page


def test_every_answer_is_plain_data(console: Console) -> None:
    for verb in VERBS.values() or [find_verb("step")]:
        for argument in ("", " 1", " x", " x = 1", " f"):
            try:
                reply = console.say(verb.name + argument) if verb.name != "save" else None
            except CwmTraceError:
                continue
            assert reply is None or json.loads(json.dumps(reply.data)) == reply.data


def test_exceptions_are_caught_by_name() -> None:
    console = console_of(record(CAUGHT, "run()"))
    console.say("mode real")
    console.say("catch ValueError")
    assert "ValueError(2)" in say(console, "continue")


def test_help_tells_every_verb_and_aliases_lead_to_one(console: Console) -> None:
    text = say(console, "help")
    assert all(verb.usage.split()[0] in text for verb in VERBS.values())
    assert set(ALIASES.values()) <= set(VERBS)
    assert not set(ALIASES) & set(VERBS)
    assert say(console, "help next").startswith("next\n")


def test_a_digit_that_is_no_number_is_text(console: Console) -> None:
    assert console.say("jump ²").text


def test_break_finds_a_function_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "lib_of_stops.py").write_text("def f(n):\n    return n\n")
    (tmp_path / "p.py").write_text("import lib_of_stops\nx = lib_of_stops.f(1)\n")
    console = Console(Session(trace_execution(tmp_path / "p.py")))
    console.say("break f")
    console.say("continue")
    frame = console.session.current.frame
    assert (frame.event, frame.source) == (Event.CALL, "def f(n):")
    with pytest.raises(CwmTraceError, match="has no function g"):
        console.say("break g")

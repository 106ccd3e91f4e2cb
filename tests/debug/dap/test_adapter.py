"""What an editor asks, and what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import trace_execution, write_trace
from cwm_trace.debug.console import Console
from cwm_trace.debug.dap.requests import HANDLERS
from cwm_trace.debug.session import Session
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.known_frames import NOTHING, History, Known, Prediction
from tests.debug.dap.client import Client
from tests.debug.dap.schema import definitions
from tests.debug.programs import CAUGHT, NESTED, Scripted, record, without_types


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source, call in [("p", NESTED, "total([1, 2])"), ("q", CAUGHT, "run()")]:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        write_trace(trace_execution(str(path), call=call), tmp_path / f"{name}.jsonl")
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Client:
    client = Client()
    client.begin(trace=str(folder / "p.jsonl"))
    return client


def over(client: Client, real: Any, predictor: Any = None) -> None:
    """Let the client debug records of this process."""
    client.body("initialize", adapterID="cwm-trace", supportsProgressReporting=True)
    client.adapter.console = Console(Session(real, None, predictor))


def test_a_session_begins_at_its_entry(folder: Path) -> None:
    client = Client()
    assert client.body("initialize", adapterID="x")["supportsStepBack"]
    assert client.body("threads") == {"threads": []}
    assert "nothing is debugged yet" in client.refused("stackTrace", threadId=1)
    client.body("attach", trace=str(folder / "p.jsonl"), model="copy")
    assert client.heard[-1]["event"] == "initialized"
    (stop,) = client.stops("configurationDone")
    assert (stop["reason"], stop["threadId"]) == ("entry", 1)
    assert stop["description"] == "real, frame 0: entry"
    threads = client.body("threads")["threads"]
    assert [(each["id"], each["name"]) for each in threads] == [(1, "real"), (2, "predicted")]
    assert "something is debugged already" in client.refused("attach", trace="x")


def test_steps_go_by_lines_both_ways(client: Client, folder: Path) -> None:
    client.body("setBreakpoints", source={"path": str(folder / "p.py")}, breakpoints=[{"line": 14}])
    assert client.stop("continue")["line"] == 14
    client.body("setBreakpoints", source={"path": str(folder / "p.py")}, breakpoints=[])
    into = client.stop("stepIn")
    assert (into["name"], into["line"]) == ("g", 2)
    assert client.stop("stepOut")["line"] == 13  # f is called by the same line, and passed over
    assert client.scope("Locals") == {"xs": "[1, 2]", "t": "4", "x": "1"}
    assert client.stop("stepBack")["line"] == 14
    assert client.scope("Locals")["t"] == "0"
    assert client.stop("next")["line"] == 13
    back = client.stop("reverseContinue")
    assert (back["reason"], back["description"]) == ("pause", "real, frame 0: the first frame")
    assert client.stop("continue")["description"].endswith("the execution ends here: returned")
    assert client.stop("stepBack")["threadId"] == 1  # and the session lives


def test_events_of_calls_and_returns_are_shown_on_demand(folder: Path) -> None:
    client = Client()
    client.begin(trace=str(folder / "p.jsonl"), granularity="event")
    client.stop("stepIn")
    client.stop("stepIn")
    assert client.top()["name"] == "total"
    client.stop("stepOut")
    assert client.scope("Return value") == {"(return) total": "10"}


def test_breakpoints_have_conditions_hits_and_logs(client: Client, folder: Path) -> None:
    source = {"path": str(folder / "p.py")}
    answer = client.body(
        "setBreakpoints",
        source=source,
        breakpoints=[
            {"line": 2, "condition": "x > 1"},
            {"line": 7, "hitCondition": "2"},
            {"line": 14, "logMessage": "t is {t}"},
            {"line": 5},
            {"line": 400},
            {"line": 2, "condition": "x ("},
            {"line": 2, "hitCondition": "often"},
        ],
    )["breakpoints"]
    assert [each["verified"] for each in answer] == [True, True, True, True, False, False, False]
    assert answer[3]["line"] == 6  # no code at 5
    assert "no code at line 400" in answer[4]["message"]
    stop = client.stop("continue")
    assert (stop["line"], client.scope("Locals")["x"]) == (6, "2")
    assert stop["hitBreakpointIds"] == [answer[3]["id"]]
    assert [message["body"]["output"] for message in client.heard if message.get("event") == "output"][
        -1
    ] == "t is 0\n"
    assert client.stop("continue")["line"] == 2
    assert client.scope("Locals")["x"] == "2"
    other = client.body("setBreakpoints", source={"path": "/nowhere.py"}, breakpoints=[{"line": 1}])
    assert "no file of the program" in other["breakpoints"][0]["message"]
    lines = client.body("breakpointLocations", source=source, line=1, endLine=6)["breakpoints"]
    assert [each["line"] for each in lines] == [1, 2, 3, 6]


def test_functions_variables_and_exceptions_stop_too(folder: Path) -> None:
    client = Client()
    client.begin(trace=str(folder / "q.jsonl"))
    answer = client.body("setFunctionBreakpoints", breakpoints=[{"name": "check"}, {"name": "chek"}])[
        "breakpoints"
    ]
    assert "did you mean check" in answer[1]["message"]
    stop = client.stop("continue")
    assert (stop["reason"], stop["name"]) == ("function breakpoint", "check")
    client.body("setFunctionBreakpoints", breakpoints=[])
    client.stop("stepIn")
    info = client.body("dataBreakpointInfo", name="n", variablesReference=client.reference())
    assert info["description"] == "n in check"
    client.body(
        "setDataBreakpoints",
        breakpoints=[{"dataId": info["dataId"], "accessType": "write", "condition": "n == 1"}],
    )
    stop = client.stop("continue")
    assert (stop["reason"], client.scope("Locals")) == ("data breakpoint", {"n": "1"})
    client.body("setDataBreakpoints", breakpoints=[])
    client.body("setExceptionBreakpoints", filters=["raised"])
    stop = client.stop("continue")
    assert (stop["reason"], stop["line"]) == ("exception", 3)
    assert client.body("exceptionInfo", threadId=1)["exceptionId"] == "ValueError"
    client.body(
        "setExceptionBreakpoints",
        filters=["uncaught", "divergence"],
        filterOptions=[{"filterId": "surprise", "condition": "2"}],
    )
    assert len(client.adapter.debuggee.session.stops.rules) == 3
    answer = client.body(
        "setExceptionBreakpoints",
        filters=["wrong"],
        filterOptions=[{"filterId": "surprise", "condition": "x"}],
    )
    assert [each["verified"] for each in answer["breakpoints"]] == [False, False]


def test_the_first_divergence_is_an_exception_with_its_reason(client: Client) -> None:
    client.body("setExceptionBreakpoints", filters=["divergence"])
    stop = client.stop("continue", thread=2)
    assert stop["reason"] == "exception"
    info = client.body("exceptionInfo", threadId=2)
    assert (info["exceptionId"], info["breakMode"]) == ("divergence", "always")
    assert "leaves the truth" in info["description"]


def test_a_prediction_stands_beside_the_truth() -> None:
    real = record(NESTED, "total([1])")
    client = Client()
    over(client, real, Scripted(without_types(real)))
    client.stop("stepIn", thread=2)
    frame = client.top(2)
    assert frame["presentationHint"] == "subtle"
    assert client.scope("Real", 2) == client.scope("Locals", 2)
    assert client.scope("Differences", 2) == {}


def test_values_unfold_by_pages_and_stay_text(folder: Path) -> None:
    source = "def f():\n    x = [{'é': (1, 2)}, 'a', list(range(300))]\n    return x\n"
    client = Client()
    over(client, record(source, "f()"))
    client.stop("continue")
    client.stop("stepBack")
    client.stop("stepIn")
    client.body("evaluate", expression="jump 3")
    client.body("evaluate", expression="first")
    client.stops("evaluate", expression="jump 3", context="repl")
    (x,) = client.rows("Locals")
    assert (x["indexedVariables"], x["evaluateName"]) == (3, "x")
    parts = client.body("variables", variablesReference=x["variablesReference"])["variables"]
    assert [part["value"] for part in parts[:2]] == ["{'é': (1, 2)}", "'a'"]
    (inner,) = client.body("variables", variablesReference=parts[0]["variablesReference"])["variables"]
    assert (inner["name"], inner["value"]) == ("'é'", "(1, 2)")
    page = client.body("variables", variablesReference=parts[2]["variablesReference"], start=298, count=9)
    assert [part["name"] for part in page["variables"]] == ["298", "299"]


def test_goto_and_targets(client: Client, folder: Path) -> None:
    source = {"path": str(folder / "p.py")}
    targets = client.body("gotoTargets", source=source, line=14)["targets"]
    assert client.stop("goto", targetId=targets[0]["id"])["line"] == 14
    calls = client.body("stepInTargets", frameId=client.top()["id"])["targets"]
    assert [each["label"] for each in calls] == ["g", "f"]
    assert client.stop("stepIn", targetId=calls[1]["id"])["name"] == "f"
    client.stops("restartFrame", frameId=client.body("stackTrace", threadId=1)["stackFrames"][1]["id"])
    assert client.top()["name"] == "total"
    assert "has not run before" in client.refused("goto", threadId=1, targetId=targets[1]["id"])


def test_writing_a_variable_forks_a_thread(client: Client) -> None:
    client.stops("evaluate", expression="jump 14", context="repl")
    start = len(client.heard)
    answer = client.body("setVariable", variablesReference=client.reference(), name="t", value="50")
    assert answer["value"] == "50"
    events = [message for message in client.heard[start:] if message["type"] == "event"]
    assert [event["event"] for event in events] == ["thread", "invalidated", "stopped"]
    fork = events[0]["body"]["threadId"]
    assert client.body("threads")["threads"][-1] == {"id": fork, "name": "fork1 (t = 50 at frame 5)"}
    assert client.scope("Locals", fork)["t"] == "50"
    assert client.scope("Locals", 1)["t"] == "0"
    assert "no literal" in client.refused(
        "setExpression", expression="t", value="open('x')", frameId=client.top(1)["id"]
    )
    assert (
        client.body("setExpression", expression="t", value="1.50", frameId=client.top(1)["id"])["value"]
        == "1.5"
    )


def test_every_verb_is_said_in_the_console(client: Client) -> None:
    (real,) = client.stops("evaluate", expression="jump 14", context="repl")  # the thread of the editor alone
    assert real["threadId"] == 1
    assert (
        client.body("evaluate", expression="t + x", context="hover", frameId=client.top()["id"])["result"]
        == "1"
    )
    assert "break" in client.body("evaluate", expression="help", context="repl")["result"]
    assert "did you mean" in client.refused(
        "evaluate", expression="tt", context="watch", frameId=client.top()["id"]
    )
    assert client.body("completions", text="rc", column=3)["targets"][0]["label"] == "rcontinue"
    assert [each["label"] for each in client.body("completions", text="p x", column=4)["targets"]] == [
        "x",
        "xs",
    ]
    client.body("evaluate", expression="quit", context="repl")
    assert client.heard[-1]["event"] == "terminated"


def test_restart_begins_again_with_the_same_stops(client: Client, folder: Path) -> None:
    client.body("setBreakpoints", source={"path": str(folder / "p.py")}, breakpoints=[{"line": 14}])
    client.stop("continue")
    (stop,) = client.stops("restart")
    assert (stop["reason"], client.top()["name"]) == ("entry", "main")
    assert client.stop("continue")["line"] == 14


def test_sources_are_files_where_these_are_as_recorded(client: Client, folder: Path) -> None:
    (source,) = client.body("loadedSources")["sources"]
    assert source == {"name": "p.py", "path": str(folder / "p.py")}
    assert "sourceReference" in client.top()["source"]  # the call itself stands in no file
    (folder / "p.py").write_text("something else\n")
    (changed,) = client.body("loadedSources")["sources"]
    text = client.body("source", sourceReference=changed["sourceReference"])["content"]
    assert text.startswith(NESTED)


def test_long_predictions_report_and_a_dead_server_is_a_stop() -> None:
    real = record(NESTED, "total([1, 2])")

    class Dying(Scripted):
        def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
            if len(history.frames) > 12:
                raise CwmTraceError("the server does not answer")
            return super().step(history, known)

    client = Client()
    over(client, real, Dying(real))
    stop = client.stop("continue", thread=2)
    assert (stop["reason"], stop["text"]) == ("pause", "the server does not answer")
    events = [message["event"] for message in client.heard if message["type"] == "event"]
    assert events[0] == "progressStart"
    assert "progressEnd" in events
    assert client.stop("stepBack", thread=2)["line"]


def test_a_token_is_asked_for_before_anything_else(folder: Path) -> None:
    client = Client(token="secret")
    client.body("initialize", adapterID="x")
    assert "token" in client.refused("threads")
    assert client.adapter.is_over
    client = Client(token="secret")
    assert "token" in client.refused("attach", trace=str(folder / "p.jsonl"), token="secreT")
    assert client.adapter.is_over
    client = Client(token="secret")
    client.begin(trace=str(folder / "p.jsonl"), token="secret")
    assert not client.adapter.is_over


@pytest.mark.parametrize(
    ("command", "arguments", "why"),
    [
        ("attach", {}, 'needs "trace"'),
        ("attach", {"trace": "none.jsonl"}, "cannot read none.jsonl"),
        ("launch", {}, "nothing to debug"),
        ("launch", {"program": 3}, "program is 3: it must be a text"),
        ("launch", {"program": "x.py", "show": "all"}, "give both, real or predicted"),
        ("readMemory", {}, "'readMemory' is not offered"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(command: str, arguments: dict[str, Any], why: str) -> None:
    assert why in Client().refused(command, **arguments)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.sampled_from(["", "x", "t", "step", "set x = 1", "{t}", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A request of the protocol: arguments of its own, with values that may be anything."""
    commands = sorted(set(HANDLERS) - {"launch", "attach", "disconnect", "terminate", "restart"})
    command = draw(
        st.sampled_from([*commands, "next", "continue", "stepBack", "evaluate", "setBreakpoints", "wrong"])
    )
    schema = definitions().get(f"{command[0].upper()}{command[1:]}Arguments", {}).get("properties", {})
    arguments: dict[str, Any] = {}
    for name in schema:
        if draw(st.integers(0, 3)):
            arguments[name] = draw(st.integers(0, 30) if name.endswith(("Id", "Reference")) else JSON)
    return command, arguments


@given(said=st.lists(requests(), min_size=5, max_size=25), junk=JSON)
def test_no_request_ends_the_session(said: list[tuple[str, dict[str, Any]]], junk: Any) -> None:
    real = record(NESTED, "total([1])")
    client = Client()
    over(client, real, Scripted(real))
    client.adapter.handle({"type": "request", "command": junk, "seq": junk, "arguments": junk})
    for command, arguments in said:
        client.ask(command, **arguments)
    assert client.body("threads")["threads"]

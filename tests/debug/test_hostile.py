"""A trace file from somebody who means harm: nothing in it is run, and nothing in it acts on the terminal."""

from __future__ import annotations

import builtins
import os
import subprocess
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from cwm_trace import write_trace
from cwm_trace.debug.console import Console
from cwm_trace.debug.opening import open_console
from cwm_trace.debug.running import Opening
from cwm_trace.debug.verbs import VERBS, find_verb
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from tests.debug.dap.client import Client

VALUES = [
    "__import__('os').system('touch {marker}')",
    "[open('{marker}', 'w'), (lambda: exec('1'))()]",
    "{{'a': __import__('os')}}",
    "'\\x1b[2J' \x1b[2J \x07",
    "[" * 3000,
    "-" * 3000 + "1",
    "9" * 6000,
    "{{" * 500 + "x" + "}}" * 500,
    "f'{{__import__(\"os\")}}'",
    "Cart(x=__import__('os').system('touch {marker}'))",
]
SOURCE = "__import__('os').system('touch {marker}')\nopen('{marker}', 'w')\ndef \x1b[2Jf(): pass\n"


@pytest.fixture
def trace(tmp_path: Path) -> str:
    marker = str(tmp_path / "marker")
    text = SOURCE.format(marker=marker)
    slots = {f"v{number}": Slot(value.format(marker=marker)) for number, value in enumerate(VALUES)}
    slots["__import__('os')"] = Slot("1")
    first, *_ = lines = text.split("\n")
    frames = (
        Frame(Event.CALL, 0, "", changed=slots),
        Frame(Event.LINE, 1, first, changed={"v0": slots["v1"]}),
        Frame(Event.LINE, 2, lines[1], changed={"v0": slots["v3"]}),
        Frame(Event.EXCEPTION, 2, lines[1], value=slots["v0"], message="\x1b[2J"),
        Frame(Event.RETURN, 2, lines[1]),
    )
    written = Trace(
        Program((SourceFile("../../etc/\x1b[2Jpasswd", text),), "<module>"), frames, Outcome.RAISED
    )
    write_trace(written, tmp_path / "t.jsonl")
    return str(tmp_path / "t.jsonl")


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    execute = builtins.exec

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"something was run: {arguments}")

    def import_only(code: Any, *arguments: Any) -> None:
        if not isinstance(code, CodeType) or not Path(code.co_filename).is_file():
            refuse(code)
        execute(code, *arguments)

    monkeypatch.setattr(builtins, "eval", refuse)
    monkeypatch.setattr(builtins, "exec", import_only)
    monkeypatch.setattr(os, "system", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    yield
    monkeypatch.undo()
    assert not (tmp_path / "marker").exists()


def test_no_verb_runs_anything(trace: str, nothing_runs: None) -> None:
    console = open_console(Opening(trace=trace, model="copy"))
    find_verb("step")
    for verb in sorted(VERBS):
        if verb not in ("quit", "save", "script", "export", "model"):
            for argument in (
                "",
                *(f"v{number}" for number in range(len(VALUES))),
                "v2 == v1",
                "1",
                "v0 = [1]",
            ):
                answer(console, f"{verb} {argument}")
    assert console.session.tracks


def answer(console: Console, line: str) -> None:
    try:
        text = console.say(line).text
    except CwmTraceError as error:
        text = str(error)
    assert "\x1b" not in text, line
    assert "\x07" not in text, line


def test_no_request_of_an_editor_runs_anything(trace: str, nothing_runs: None) -> None:
    client = Client()
    client.begin(trace=trace)
    for row in client.rows("Locals"):
        if row["variablesReference"]:
            client.body("variables", variablesReference=row["variablesReference"])
        client.ask("evaluate", expression=row["name"], context="watch", frameId=client.top()["id"])
    client.body("loadedSources")
    client.body("source", sourceReference=1)
    client.stop("continue")
    client.stop("stepBack")
    client.ask("exceptionInfo", threadId=1)
    client.ask("setVariable", variablesReference=client.reference(), name="v0", value=VALUES[0])

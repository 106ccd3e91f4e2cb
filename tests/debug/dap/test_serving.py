"""Messages as bytes, and clients over streams and sockets."""

from __future__ import annotations

import io
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import trace_execution, write_trace
from cwm_trace.debug.dap import serving
from cwm_trace.debug.dap.adapter import Adapter
from cwm_trace.debug.dap.serving import serve, serve_port
from cwm_trace.debug.dap.wire import BrokenStreamError, read_message, write_message
from cwm_trace.errors import CwmTraceError
from tests.debug.dap.schema import faults
from tests.debug.programs import NESTED
from tests.effort import HANGS


class Editor:
    """Speaks with a server over two streams."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader: BinaryIO = reader
        self._writer: BinaryIO = writer
        self._sequence = 0

    def say(self, command: str, **arguments: Any) -> None:
        self._sequence += 1
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        write_message(self._writer, message)

    def hear(self, *names: str) -> list[dict[str, Any]]:
        """Everything up to a message of each of these names."""
        wanted, found = list(names), list[dict[str, Any]]()
        while wanted:
            message = read_message(self._reader)
            assert message is not None, f"the server ended before {wanted}"
            assert faults(message) == []
            found.append(message)
            name = message.get("event") or message["command"]
            if name in wanted:
                wanted.remove(name)
        return found


@pytest.fixture
def trace(tmp_path: Path) -> str:
    (tmp_path / "p.py").write_text(NESTED)
    write_trace(trace_execution(str(tmp_path / "p.py"), call="total([1, 2])"), tmp_path / "t.jsonl")
    return str(tmp_path / "t.jsonl")


def walk(editor: Editor, trace: str, **arguments: Any) -> None:
    """A short session."""
    editor.say("initialize", adapterID="cwm-trace")
    editor.hear("initialize")
    editor.say("attach", trace=trace, model="copy", **arguments)
    editor.say("configurationDone")
    editor.hear("initialized", "stopped")
    editor.say("next", threadId=1)
    *_, answer, stopped = editor.hear("next", "stopped")
    assert (answer["command"], stopped["body"]["threadId"]) == ("next", 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_none(data: bytes) -> None:
    stream = io.BytesIO(data)
    try:
        while read_message(stream) is not None:
            pass
    except BrokenStreamError as error:
        assert "message" in str(error)  # noqa: PT017


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_what_is_written_is_read(message: dict[str, Any]) -> None:
    stream = io.BytesIO()
    write_message(stream, message)
    stream.seek(0)
    assert read_message(stream) == message


def test_a_process_over_standard_streams(trace: str) -> None:
    command = [sys.executable, "-m", "cwm_trace", "dap"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    editor = Editor(process.stdout, process.stdin)
    walk(editor, trace)
    editor.say("disconnect")
    editor.hear("disconnect")
    assert process.wait(HANGS) == 0
    process.stdin.close()
    process.stdout.close()


def test_clients_of_a_port_bring_the_token(trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serving.TOKEN, raising=False)
    announced: queue.Queue[tuple[int, str]] = queue.Queue()
    thread = threading.Thread(
        target=serve_port, args=(0, lambda *at: announced.put(at)), kwargs={"clients": 2}
    )
    thread.start()
    port, token = announced.get(timeout=HANGS)
    assert re.fullmatch(r"[\w-]{20,}", token)
    with socket.create_connection(("127.0.0.1", port)) as wrong, wrong.makefile("rwb") as stream:
        editor = Editor(stream, stream)
        editor.say("attach", trace=trace, token="guess")
        (answer,) = editor.hear("attach")
        assert not answer["success"]
        assert read_message(stream) is None  # type: ignore[arg-type]
    with socket.create_connection(("127.0.0.1", port)) as right, right.makefile("rwb") as stream:
        walk(Editor(stream, stream), trace, token=token)
    thread.join(HANGS)
    assert not thread.is_alive()


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CwmTraceError, match="cannot be had"):
            serve_port(taken.getsockname()[1], lambda *_: None)


def test_pause_ends_a_prediction_that_goes_on(trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwm_trace.predict.baselines import CopyPredictor

    asked, go_on = threading.Event(), threading.Event()
    step = CopyPredictor.step

    def slow(self: CopyPredictor, *arguments: Any) -> Any:
        asked.set()
        assert go_on.wait(HANGS)
        return step(self, *arguments)

    monkeypatch.setattr(CopyPredictor, "step", slow)
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    with open(in_read, "rb") as reader, open(out_write, "wb") as writer:
        thread = threading.Thread(target=serve, args=(reader, writer))
        thread.start()
        with open(out_read, "rb") as hear, open(in_write, "wb") as say:
            editor = Editor(hear, say)
            editor.say("initialize", adapterID="x")
            editor.say("attach", trace=trace, model="copy")
            editor.say("configurationDone")
            editor.hear("stopped")
            editor.say("continue", threadId=2)
            editor.hear("continue")
            assert asked.wait(HANGS)
            interrupted = threading.Event()
            monkeypatch.setattr(Adapter, "interrupt", _telling(Adapter.interrupt, interrupted))
            editor.say("pause", threadId=2)
            assert interrupted.wait(HANGS)  # while the model is still at its first frame
            go_on.set()
            *_, stopped = editor.hear("stopped")
            assert stopped["body"]["reason"] == "pause"
            assert "interrupted" in stopped["body"]["text"]
            editor.say("disconnect")
            editor.hear("disconnect")
        thread.join(HANGS)
    assert not thread.is_alive()


def _telling(interrupt: Any, done: threading.Event) -> Any:
    def told(self: Any) -> None:
        interrupt(self)
        done.set()

    return told

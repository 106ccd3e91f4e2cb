"""The tools of agents, and a client of the MCP SDK that uses them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cwm_trace import trace_execution, write_trace
from cwm_trace.debug.agents import MAX_CHARS, Agent, make_server
from cwm_trace.errors import CwmTraceError
from tests.debug.programs import NESTED

if TYPE_CHECKING:
    from mcp.types import CallToolResult


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    write_trace(trace_execution(NESTED, call="total([1, 2])"), tmp_path / "t.jsonl")
    agent = Agent()
    agent.open_program(trace=str(tmp_path / "t.jsonl"))
    return agent


def test_verbs_are_said_in_turn_until_one_cannot_be_done(agent: Agent) -> None:
    text = agent.say(["mode real", "break 14", "continue", "p t + x", "wrong", "step"])
    assert "> p t + x\n1\n> wrong\n*** there is no verb 'wrong'" in text
    assert "> step" not in text
    assert "at most 50" in _refusal(lambda: agent.say(["step"] * 51))


def test_frames_are_listed_in_a_line_each(agent: Agent) -> None:
    lines = agent.list_frames("real", 2, 3).splitlines()
    assert [line.split()[0] for line in lines] == ["2", "3", "4"]
    assert lines[0].endswith("call: def total(xs):  | xs=[1, 2]")
    assert agent.list_frames("real", 0, 500).count("\n") < 60
    assert "no frame 999" in _refusal(lambda: agent.list_frames("real", 999))


def test_where_they_part_and_what_if(agent: Agent) -> None:
    assert "is not so in truth: " in agent.where_they_part()
    text = agent.what_if("t", "50", frame=5)
    assert "what if: t = 50 at frame 5" in text
    assert "no literal" in agent.what_if("t", "open('x')", frame=5)
    assert "is not known" in _refusal(lambda: agent.where_they_part("fork1"))


def test_files_are_out_of_reach_and_answers_are_cut(agent: Agent, tmp_path: Path) -> None:
    for verb in ("save", "script", "export jsonl"):
        assert "may not touch files" in agent.say([f"{verb} {tmp_path}/x"])
    assert not (tmp_path / "x").exists()
    text = agent.say(["help"] * 50)
    assert len(text) < MAX_CHARS + 100
    assert "more characters" in text


def test_nothing_is_open_at_first() -> None:
    assert "open_program first" in _refusal(lambda: Agent().say(["step"]))
    assert "exactly one" in _refusal(lambda: Agent().open_program())


def _refusal(call: Any) -> str:
    with pytest.raises(CwmTraceError) as error:
        call()
    return str(error.value)


def _text(result: CallToolResult) -> str:
    first = result.content[0]
    assert first.type == "text"
    return first.text


def test_a_client_of_the_sdk_drives_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp.server.mcpserver")
    import anyio
    from mcp import Client

    async def drive() -> list[tuple[bool, str]]:
        answers = []
        async with Client(make_server()) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == {"open_program", "say", "list_frames", "what_if", "where_they_part"}
            for name, arguments in CALLS:
                result = await client.call_tool(name, arguments)
                answers.append((bool(result.is_error), _text(result)))
        return answers

    answers = anyio.run(drive)
    errors = [failed for failed, _ in answers]
    texts = [text for _, text in answers]
    assert errors == [True, False, False, False, False, False]
    assert "open_program first" in texts[0]
    assert texts[1].startswith("real 0  <source>:16 in main  call")
    assert "-> t += f(g(x))" in " ".join(texts[2].split())
    assert "its truth is fork1-truth" in texts[3]
    assert "→ 108" in texts[4]
    assert "is not so in truth" in texts[5]


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("say", {"verbs": ["step"]}),
    ("open_program", {"source": NESTED, "call": "total([1, 2])"}),
    ("say", {"verbs": ["mode real", "jump 14"]}),
    ("what_if", {"name": "x", "value": "50"}),
    ("say", {"verbs": ["mode fork1-truth", "continue"]}),
    ("where_they_part", {"track": "fork1"}),
]


def test_the_command_serves_over_standard_streams(tmp_path: Path) -> None:
    pytest.importorskip("mcp.server.mcpserver")
    import anyio
    from mcp import Client, StdioServerParameters

    write_trace(trace_execution(NESTED, call="f(1)"), tmp_path / "t.jsonl")

    async def drive() -> str:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "cwm_trace", "mcp"], env=dict(os.environ)
        )
        async with Client(command) as client:
            result = await client.call_tool("open_program", {"trace": str(tmp_path / "t.jsonl")})
            return _text(result)

    assert anyio.run(drive).startswith("real 0  ")

"""The page holds texts of programs as data only, and asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace import trace_execution, write_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame, Guess, Program, Slot, SourceFile, Trace
from cwm_trace.viewer import MAX_GUESSES, view_page
from tests.cli.conftest import Cli, cli  # noqa: F401 (a fixture)
from tests.effort import examples
from tests.viewer.pages import HOSTILE_TEXTS, hostile_trace

REAL = Trace(Program((SourceFile("p.py", "x = 1"),), "<module>"), (Frame(Event.LINE, 1, "x = 1"),))


@given(st.text(st.characters(codec=None), min_size=1, max_size=40) | st.sampled_from(HOSTILE_TEXTS))
@examples(0.5)
def test_any_text_makes_the_same_markup(text: str) -> None:
    page = view_page(hostile_trace(text))
    page.encode("utf-8")
    assert page.count("<script") == view_page(hostile_trace("x")).count("<script")
    assert "<img" not in page
    assert "<svg/" not in page


def script_of(page: str) -> str:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    return str(scripts[0])


def test_only_the_pages_own_script_may_run() -> None:
    page = view_page(REAL)
    allowed = re.search(r"script-src 'sha256-([^']+)'", page)
    assert allowed is not None
    assert base64.b64decode(allowed[1]) == hashlib.sha256(script_of(page).encode()).digest()
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)


def test_what_cannot_be_shown_is_one_sentence() -> None:
    with pytest.raises(CwmTraceError, match="has no frames"):
        view_page(replace(REAL, frames=()))
    with pytest.raises(CwmTraceError, match=f"give {MAX_GUESSES} at most"):
        view_page(REAL, [replace(REAL, guess=Guess(mode="free"))] * (MAX_GUESSES + 1))
    other = replace(
        REAL, program=replace(REAL.program, files=(SourceFile("q.py", "y = 2"),)), guess=Guess(mode="free")
    )
    with pytest.raises(CwmTraceError, match="different programs"):
        view_page(REAL, [other])


def test_the_command_writes_beside_the_trace(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    write_trace(trace_execution("def f(x):\n    return x", call="f(1)"), tmp_path / "p.trace.jsonl")
    result = cli("view", "p.trace.jsonl")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"p\.html: 6 frames, \d+ kB\n", result.stdout)
    assert "DecompressionStream" in (tmp_path / "p.html").read_text("utf-8")
    assert cli("view", "p.trace.jsonl", "-o", "-").stdout.startswith("<!doctype html>")
    missing = cli("view", "p.trace.jsonl", "nowhere.jsonl")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1


def test_a_page_knows_its_slots_only_as_data() -> None:
    secret = "</script><script>window.pwned = 1</script>"
    trace = replace(REAL, frames=(Frame(Event.LINE, 1, "x = 1", changed={"x": Slot(secret)}),))
    assert secret not in view_page(trace)

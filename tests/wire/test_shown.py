"""A recorded trace as it reads once it went through text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from cwm_trace import (
    KTH,
    CwmTraceError,
    FormatProfile,
    Trace,
    TraceTokens,
    compare_execution,
    parse_trace,
    render_trace,
    trace_execution,
)
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.shown import trace_as_shown
from tests.traces import traces

TOKENS = TraceTokens.of_bytes()
SCRIPT = """\
import sys

def double(n):
    return 2 * n

def numbers(n):
    for i in range(n):
        yield double(i)

total = 0
for x in numbers(3):
    total += x
try:
    raise KeyError(total)
except KeyError as error:
    text = str(error)
"""


@given(traces())
def test_the_program_is_the_one_that_the_text_has(trace: Trace) -> None:
    for profile in (CWM, KTH):
        there = trace_as_shown(trace, profile)
        ids = render_trace(trace, profile=profile, tokens=TOKENS)
        back = parse_trace(ids, profile=profile, tokens=TOKENS)
        assert there.files == back.files
        assert (there.entry_line > 0) == (back.entry_line > 0)


@pytest.mark.parametrize("profile", [CWM, KTH])
@pytest.mark.parametrize("equality", ["exact", "normal", "typed"])
def test_a_script_compares_with_its_text(profile: FormatProfile, equality: str) -> None:
    real = trace_execution(SCRIPT)
    text = parse_trace(render_trace(real, profile=profile), profile=profile)
    assert len(text.frames) == len(real.frames)
    for one, other in ((real, text), (text, real), (text, text)):
        comparison = compare_execution(one, other, equality=equality if one is real else "normal")
        assert comparison.first_divergence is None, comparison.first_divergence
        assert comparison.frame_exact.value == 1


def test_a_call_and_several_files_compare_with_their_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sibling_of_shown.py").write_text("def half(n):\n    return n / 2\n")
    script = tmp_path / "script.py"
    script.write_text("import sibling_of_shown\nx = sibling_of_shown.half(4)\ny = x\n")
    monkeypatch.chdir(tmp_path)
    for real in (trace_execution(script), trace_execution(SCRIPT, call="list(numbers(2))")):
        text = parse_trace(render_trace(real))
        assert compare_execution(real, text).frame_exact.value == 1


def test_a_text_of_another_program_says_where_they_differ() -> None:
    text = parse_trace(render_trace(trace_execution(SCRIPT)))
    other = trace_execution(SCRIPT.replace("2 * n", "3 * n"))
    with pytest.raises(
        CwmTraceError, match=r"line 5, as its text shows it, is 'return 3 \* n' in the first and 'return 2"
    ):
        compare_execution(other, text)
    with pytest.raises(CwmTraceError, match="line 2 is '' in the first and 'y = 2' in the second"):
        compare_execution(trace_execution("x = 1\n"), trace_execution("x = 1\ny = 2\n"))

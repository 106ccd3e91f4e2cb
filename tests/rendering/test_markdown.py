from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from cwm_trace import trace_execution
from cwm_trace.eval.comparison import compare
from cwm_trace.records import Trace
from cwm_trace.rendering.frames import trace_table
from cwm_trace.rendering.markdown import markdown
from tests.effort import examples
from tests.traces import traces


def test_a_trace_is_a_table_that_github_reads() -> None:
    trace = trace_execution("a = 'x'\nfor b in '|':\n    c = '`' + a\n")
    head, rule, *rows = [line for line in trace.to_markdown().splitlines() if line.startswith("|")]
    assert head == "| # | line |  | source | variables before the line runs |"
    assert rule == "|--:|--:|---|---|---|"
    assert rows[1] == "| 1 | 1 |  | `a = 'x'` |  |"
    assert rows[2] == "| 2 | 2 |  | `for b in '\\|':` | `*a='x'` |"
    assert rows[3] == "| 3 | 3 |  | ``     c = '`' + a `` | `*b='\\|'` |"
    assert trace.to_markdown().endswith("(Python " + trace.run.python + ")")


@examples(0.25)
@given(traces(), traces())
def test_no_text_of_a_program_breaks_a_row(real: Trace, other: Trace) -> None:
    for shown in (real, compare(real, replace(other, program=real.program))):
        rows = [line for line in shown.to_markdown().split("\n") if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) <= 1
    assert markdown([trace_table(real)]) == real.to_markdown()

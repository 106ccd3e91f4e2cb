from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given

from cwm_trace.eval.comparison import compare
from cwm_trace.records import Event, Frame, Guess, Outcome, Program, Run, Slot, SourceFile, Trace
from cwm_trace.rendering.views import SHOWN_FRAMES
from tests.effort import HANGS, examples
from tests.traces import traces

TEXT = "def f(a):\n    b = a < 2\n    return '<b>'\n"
REAL = Trace(
    Program((SourceFile("p.py", TEXT),), "f", 1),
    (
        Frame(Event.CALL, 1, "def f(a):", changed={"a": Slot("'<script>alert(1)</script>'", "str")}),
        Frame(Event.LINE, 2, "    b = a < 2"),
        Frame(Event.LINE, 3, "    return '<b>'", changed={"b": Slot("x" * 200)}),
        Frame(Event.RETURN, 3, "    return '<b>'", value=Slot("'<b>'", "str")),
    ),
    Outcome.RETURNED,
    run=Run(python="3.11.7"),
)
TAGS = {"div", "style", "table", "thead", "tbody", "tr", "th", "td", "span", "p"}


class Reader(HTMLParser):
    """The tags of a page in their order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.rows: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append(str(dict(attrs).get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_program_text_is_never_markup() -> None:
    page = Reader(REAL._repr_html_())
    assert set(page.tags) <= TAGS
    assert "'<script>alert(1)</script>'" in page.text
    assert "b = a < 2" in page.text
    assert "→ '<b>'" in page.text
    assert "4 frames of p.py, entry f: returned (Python 3.11.7)" in page.text
    assert "x" * 61 not in page.text
    assert "\u00a0\u00a0\u00a0\u00a0return" in page.text  # where a notebook drops spaces


def test_the_first_wrong_step_is_marked_and_only_that() -> None:
    wrong = replace(REAL.frames[2], changed={"b": Slot("0")})
    predicted = replace(REAL, frames=(*REAL.frames[:2], wrong), guess=Guess(mode="free", given=1))
    page = Reader(compare(REAL, predicted)._repr_html_())
    assert page.rows == ["", "given", "", "first", ""]
    assert page.text.count("✗◀") == 1
    assert "b=0" in page.text
    assert "(nothing)" in page.text
    assert "first wrong    frame 2, wrong value of b" in page.text


def test_a_right_prediction_marks_nothing() -> None:
    page = Reader(compare(REAL, replace(REAL, guess=Guess(mode="free", given=1)))._repr_html_())
    assert "first" not in page.rows
    assert page.text.count("✓") == 3


def test_a_long_comparison_shows_where_it_goes_wrong() -> None:
    long = replace(REAL, frames=(REAL.frames[0], *[REAL.frames[1]] * 999))
    wrong = replace(long, frames=(*long.frames[:700], REAL.frames[3]), guess=Guess(mode="free", given=1))
    page = Reader(compare(long, wrong)._repr_html_())
    assert page.rows.count("first") == 1
    assert len(page.rows) == SHOWN_FRAMES + 2
    assert "frames 600 to 800 of 1000 are shown" in page.text
    assert "frames 0 to 199 of 1000 are shown" in Reader(long._repr_html_()).text


@examples(0.25)
@given(traces(), traces())
def test_anything_can_be_shown(real: Trace, other: Trace) -> None:
    assert set(Reader(real._repr_html_()).tags) <= TAGS
    assert set(Reader(compare(real, replace(other, program=real.program))._repr_html_()).tags) <= TAGS


def test_a_record_is_a_page_of_its_own() -> None:
    page = REAL.to_html()
    assert page.startswith("<!DOCTYPE html>")
    assert REAL._repr_html_() in page
    assert "<script" not in page


def test_records_stay_light() -> None:
    check = "import sys, cwm_trace.records; assert not [m for m in sys.modules if 'rendering' in m]"
    assert subprocess.run([sys.executable, "-c", check], timeout=HANGS, check=False).returncode == 0

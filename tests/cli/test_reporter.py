"""Progress of long work, at times that the tests choose."""

from __future__ import annotations

import io
import sys

import pytest

from cwm_trace.cli.reporter import Reporter
from cwm_trace.progress import Progress, tell_of_each


class Clock:
    """Seconds as the test says."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_now_and_then_and_where_something_begins(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Reporter("programs", clock) as report:
        report(Progress("recording", 200, 4_000, before=200))
        for seconds in range(1, 31):
            clock.now = 5.0 + seconds
            report(Progress("recording", 200 + 40 * seconds, 4_000, before=200))
        report(Progress("choosing rows"))
        report(Progress("choosing rows"))
        report(Progress("writing shards"))
    assert capsys.readouterr().err.splitlines() == [
        "cwm-trace: recording: 200 of 4,000 programs, made before",
        "cwm-trace: recording: 640 of 4,000 programs, 40 a second, about 1:24 left",
        "cwm-trace: recording: 1,080 of 4,000 programs, 40 a second, about 1:13 left",
        "cwm-trace: choosing rows",
        "cwm-trace: writing shards",
    ]


def test_work_without_an_announcement_is_quiet_at_first_and_in_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Reporter("predictions", clock) as report:
        report(Progress("smoke, free, mini", 1, 50))
        clock.now += 60
        report(Progress("smoke, free, mini", 2, 50))  # too few to say when the others are done
        clock.now += 60
        report(Progress("smoke, free, mini", 50, 50))
    assert capsys.readouterr().err == "cwm-trace: smoke, free, mini: 2 of 50 predictions\n"


def test_things_are_counted_whose_number_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Reporter("frames", clock) as report:
        count = report.count("predicting")
        for _ in range(120):
            clock.now += 0.1
            count(object())
    assert capsys.readouterr().err == "cwm-trace: predicting: 101 frames, 10 a second\n"


def test_each_thing_is_told_of_when_it_is_done() -> None:
    told: list[Progress] = []
    things = tell_of_each("ab", "reading", told.append)
    assert next(things) == "a"
    assert told == []
    assert next(things) == "b"
    assert told == [Progress("reading", 1, 2)]
    assert next(things, None) is None
    assert told[1:] == [Progress("reading", 2, 2)]
    assert list(tell_of_each(iter("a"), "reading", told.append)) == ["a"]
    assert told[-1] == Progress("reading", 1)


def test_time_that_stands_still_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter("programs", Clock()) as report:
        for done in range(1, 400):
            report(Progress("recording", done, 400))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("unit", "shown"), [("programs", "20/40 10/s"), ("bytes", "20/40 bytes")])
def test_a_terminal_has_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch, unit: str, shown: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Reporter(unit, clock) as report:
        clock.now += 2
        report(Progress("writing x[b]", 20, 40))
        report._bar.refresh()
        report(Progress("choosing rows"))
    text = terminal.getvalue()
    assert "writing x[b]" in text
    assert shown in text.replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert "choosing rows" in text.rpartition("20/40")[2]
    assert "0/40" not in text.rpartition("20/40")[2]
    assert text.endswith("\x1b[2K")

"""The picture of a run, drawn from a small log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training.curve import CURVE, plot_log, smooth


def write_log(folder: Path, lines: list[dict[str, Any]], rest: str = "") -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + rest)


STEPS = [
    {"step": step, "tokens": 100 * step, "seconds": 1.0, "loss": 5.0 / step, "event": 1.0 / step, "rate": 0.1}
    for step in range(1, 8)
]
HELD = {"step": 7, "tokens": 700, "held_out": {"frames": 0.25, "traces": 0.0, "event": 0.9}}


def test_a_log_becomes_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_log(tmp_path, [*STEPS, HELD], rest='{"step": 8, "to')
    assert plot_log(tmp_path) == tmp_path / CURVE
    drawn = (tmp_path / CURVE).read_bytes()
    text = "".join(ElementTree.fromstring(drawn).itertext())
    for words in ("Loss by field", "minimised", "event", "Held out", "frames", "traces"):
        assert words in text
    assert "source" not in text, "no step has that loss"
    assert "changed values" not in text
    plot_log(tmp_path)
    assert (tmp_path / CURVE).read_bytes() == drawn


def test_no_steps_no_picture(tmp_path: Path) -> None:
    write_log(tmp_path, [])
    assert plot_log(tmp_path) is None
    assert not (tmp_path / CURVE).exists()


def test_without_matplotlib_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_log(tmp_path, STEPS)
    assert plot_log(tmp_path) is None


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(CwmTraceError, match=r"cannot read .*log\.jsonl: No such file"):
        plot_log(tmp_path)


def test_means_are_of_what_came_before() -> None:
    losses = [float(number) for number in range(150)]
    means = smooth(list(range(150)), losses)[1]
    assert means[:3] == [0.0, 0.5, 1.0]
    assert means[-1] == 148.0

from __future__ import annotations

from pathlib import Path

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.kept_answers import Answers


def test_answers_outlive_the_object(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Answers(path).keep({"prompt": [1, 2], "seed": None}, [[3], None])
    again = Answers(path)
    assert again.find({"seed": None, "prompt": [1, 2]}) == [[3], None]
    assert again.find({"prompt": [1, 2], "seed": 1}) is None
    assert len(again) == 1


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "answers.jsonl"
    answers = Answers(path)
    answers.keep("a", 1)
    whole = path.stat().st_size
    answers.keep("b", 2)
    with path.open("r+b") as file:
        file.truncate(max(whole, path.stat().st_size - cut))
    again = Answers(path)
    assert again.find("a") == 1
    again.keep("c", 3)
    final = Answers(path)
    assert (final.find("a"), final.find("c")) == (1, 3)
    assert final.find("b") in (None, 2)


def test_without_a_path_nothing_is_kept() -> None:
    answers = Answers(None)
    answers.keep("a", 1)
    assert answers.find("a") is None


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\nand more\n")
    with pytest.raises(CwmTraceError, match="is no file of kept answers"):
        Answers(path)
    assert path.read_text() == "my notes\nand more\n"
    with pytest.raises(CwmTraceError, match=r"cannot write .*no/where"):
        Answers(tmp_path / "no" / "where")

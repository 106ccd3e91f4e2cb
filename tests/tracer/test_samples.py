"""One small program per language feature, against one golden per CPython minor version."""

import os
import sys
from pathlib import Path

import pytest

from tests.tracer import goldens
from tests.tracer.goldens import (
    GOLDENS,
    MINORS,
    REWRITE,
    SAMPLES,
    SINCE,
    golden_path,
    read_golden,
    record_sample,
    sample_names,
    write_golden,
)


@pytest.mark.parametrize("name", sample_names())
def test_sample_is_recorded_as_its_golden_says(name: str) -> None:
    recorded = record_sample(name)
    if os.environ.get(REWRITE):
        write_golden(name, sys.version_info.minor, recorded)
    assert recorded == read_golden(name, sys.version_info.minor)


def test_every_sample_says_what_it_shows_and_is_small() -> None:
    for path in SAMPLES.glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith('"""'), path.name
        assert lines[0].endswith('."""'), path.name
        assert len(lines) <= 30, path.name


def test_no_golden_is_left_over_or_repeats_the_version_below() -> None:
    kept = set()
    for path in SAMPLES.glob("*.py"):
        for minor in MINORS:
            if minor >= SINCE.get(path.stem, 0):
                golden = golden_path(path.stem, minor)
                kept.add(golden)
                below = read_golden(path.stem, minor - 1)
                assert not golden.exists() or golden.read_text(encoding="utf-8") != below, golden.name
    assert set(GOLDENS.glob("*")) <= kept


def test_a_golden_is_written_once_for_the_versions_that_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goldens, "GOLDENS", tmp_path)
    texts = {10: "a", 11: "b", 12: "b", 13: "a"}
    for minor in (12, 10, 13, 11, 12):
        write_golden("x", minor, texts[minor])
    assert {minor: read_golden("x", minor) for minor in texts} == texts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.3.10.txt", "x.3.11.txt", "x.3.13.txt"]
    write_golden("x", 10, "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.3.10.txt", "x.3.13.txt"]

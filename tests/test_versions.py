"""Files that earlier versions wrote are read, and what a newer one wrote is refused with the right advice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwm_trace import read_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import read_log
from cwm_trace.eval.benchmark.results import Results
from cwm_trace.eval.benchmark.stored import restore_prediction
from cwm_trace.eval.comparison import compare
from cwm_trace.records import Decoding, Outcome
from cwm_trace.versions import LOG_VERSION, TRACE_VERSION

OLD = Path(__file__).parent / "old_files"
VERSIONS = sorted(path.name for path in OLD.iterdir() if path.is_dir())
MINI = Decoding(
    "local",
    "cwm-mini",
    engine="torch",
    grammar="frame",
    dtype="float32",
    max_frame_tokens=384,
    max_text_tokens=128,
)


def test_every_version_before_this_one_has_its_files() -> None:
    assert [f"version_{number}" for number in range(1, TRACE_VERSION)] == VERSIONS
    assert TRACE_VERSION == LOG_VERSION


@pytest.mark.parametrize("version", VERSIONS)
def test_traces_are_read(version: str) -> None:
    real = read_trace(OLD / version / "real.jsonl")
    assert (real.outcome, len(real.frames), real.guess.decoding) == (Outcome.RETURNED, 18, None)
    guess = read_trace(OLD / version / "guess.jsonl")
    assert (guess.guess.mode, guess.guess.given, guess.guess.decoding) == ("forced", 1, MINI)
    assert len(compare(real, guess).pairs) == 18


@pytest.mark.parametrize("version", VERSIONS)
def test_logs_are_read(version: str) -> None:
    run = read_log(OLD / version / "mini.log.jsonl")
    assert run.is_complete
    assert (run.header.model, run.header.decoding) == ("cwm-mini+grammar", MINI)
    line = run.programs[0]
    assert (line.sample, line.skipped, line.score.answer, run.header.samples) == (0, [], None, 1)
    assert "an older log, which compares outputs as texts" in Results((run,)).to_markdown()
    stored = run.programs[0].stored
    assert stored is not None
    assert stored["decoding"] == MINI
    real = read_trace(OLD / version / "real.jsonl")
    assert restore_prediction(stored, real).guess.decoding == MINI
    assert read_log(OLD / version / "copy.log.jsonl").header.decoding == Decoding("copy", grammar="none")


@pytest.mark.parametrize("version", VERSIONS)
def test_shards_are_read(version: str) -> None:
    from cwm_trace.datasets.shards import read_rows

    rows = [row for _, row in read_rows(OLD / version / "shards")]
    assert len(rows) == 8


@pytest.mark.parametrize("version", VERSIONS)
def test_kept_answers_are_found(version: str) -> None:
    from cwm_trace.predict.kept_answers import Answers

    answers = Answers(OLD / version / "answers.jsonl")
    assert answers.find({"model": "m", "prompt": [1]}) == [[1, 2, 3], None]


@pytest.mark.parametrize(("name", "read"), [("real.jsonl", read_trace), ("mini.log.jsonl", read_log)])
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (99, "newer cwm-trace: it has schema version 99.*update cwm-trace"),
        ("1", "is no schema version"),
        (0, "no schema"),
    ],
)
def test_newer_files_and_odd_ones_are_refused(
    tmp_path: Path, name: str, read: object, said: object, message: str
) -> None:
    first, *rest = (OLD / "version_1" / name).read_text("utf-8").splitlines()
    path = tmp_path / name
    path.write_text(
        "\n".join([json.dumps({**json.loads(first), "schema_version": said}), *rest, ""]), "utf-8"
    )
    assert callable(read)
    with pytest.raises(CwmTraceError, match=message):
        read(path)

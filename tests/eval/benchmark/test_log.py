from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.log import ExcludedLine, Header, LogWriter, log_name, read_log, read_logs
from cwm_trace.records import Decoding

HEADER = Header(
    task="t",
    items=3,
    item_hash="0" * 12,
    model="m",
    decoding=Decoding("m", "some/folder", temperature=0.5, seed=1),
    mode="free",
    profile="cwm",
    profile_hash="1" * 12,
    prompt_hash="2" * 12,
    python="3.11.7",
    cwm_trace="0.1",
    batch_size=8,
    max_frames=10,
)


def line(name: str) -> ExcludedLine:
    return ExcludedLine(id=name, reason="é\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "a.jsonl"


def test_what_is_written_is_read(path: Path) -> None:
    with LogWriter(path, HEADER) as log:
        log.write(line("a"))
        assert log.done.excluded == {"a"}
    run = read_log(path)
    assert (run.header, run.excluded, run.done.excluded, run.is_complete) == (
        HEADER,
        (line("a"),),
        {"a"},
        False,
    )
    assert read_logs(path) == read_logs(path.parent) == [run]


def test_a_log_that_is_there_is_never_written_over(path: Path) -> None:
    LogWriter(path, HEADER).close()
    with pytest.raises(CwmTraceError, match="is there already: add --resume"):
        LogWriter(path, HEADER)
    with LogWriter(path, HEADER, resume=True) as log:
        log.write(line("a"))
    with LogWriter(path, HEADER, resume=True) as log:
        assert log.done.excluded == {"a"}
    assert len(path.read_text().splitlines()) == 2


def test_wherever_it_is_cut_it_goes_on(path: Path) -> None:
    names = ["a", "b", "c"]
    with LogWriter(path, HEADER) as log:
        for name in names:
            log.write(line(name))
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with LogWriter(path, HEADER, resume=True) as log:
            for name in names:
                if not log.done.has(name):
                    log.write(line(name))
        assert path.read_bytes() == whole


def test_a_log_of_another_run_is_refused_and_left_alone(path: Path) -> None:
    LogWriter(path, HEADER).close()
    before = path.read_bytes()
    with pytest.raises(CwmTraceError, match="another run: its max_frames is 10, now 11"):
        LogWriter(path, HEADER.model_copy(update={"max_frames": 11}), resume=True)
    assert path.read_bytes() == before


def test_two_writers_do_not_mix(path: Path) -> None:
    with LogWriter(path, HEADER), pytest.raises(CwmTraceError, match="being written by another process"):
        LogWriter(path, HEADER, resume=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{}", "is empty"),  # no whole line
        ("{}\n", "is no log of a benchmark: line 1 is of kind None"),
        ("[]\n", "line 1 is not a JSON object"),
        ("nonsense\n", "line 1 is not a JSON object"),
        ('{"kind": "header", "schema_version": 99}\n', "schema version 99"),
        ('{"kind": "header", "schema_version": 1}\n', "line 1 is wrong in task"),
        ('{"kind": "excluded", "id": "a", "reason": "b"}\n', "does not start with the header"),
        (HEADER.model_dump_json() + "\n" + HEADER.model_dump_json() + "\n", "a second header"),
        (HEADER.model_dump_json() + '\n{"kind": "excluded"}\n', "line 2 is wrong in id"),
    ],
)
def test_what_is_no_log_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text)
    with pytest.raises(CwmTraceError, match=words):
        read_log(file)


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CwmTraceError, match="cannot read"):
        read_logs(tmp_path / "missing")
    with pytest.raises(CwmTraceError, match="has no logs"):
        read_logs(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CwmTraceError, match="cannot write"):
        LogWriter(tmp_path / "file" / "a.jsonl", HEADER)


def test_names_of_logs_are_file_names() -> None:
    assert log_name("cruxeval", "reground-8", "a/b c") == "cruxeval--reground-8--a-b-c.jsonl"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user cannot mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing_that_was_logged(small_disk: Path) -> None:
    path = small_disk / "a.jsonl"
    names = [f"{number}" * 400 for number in range(10, 60)]
    written: list[str] = []

    def fill() -> None:
        with LogWriter(path, HEADER) as log:
            for name in names:
                log.write(line(name))
                written.append(name)

    with pytest.raises(CwmTraceError, match=r"No space left.*--resume goes on"):
        fill()
    assert 0 < len(written) < len(names)
    assert [entry.id for entry in read_log(path).excluded] == written
    assert path.read_bytes().endswith(b"\n")
    shutil.move(path, small_disk.parent / "a.jsonl")
    with LogWriter(small_disk.parent / "a.jsonl", HEADER, resume=True) as log:
        assert log.done.excluded == set(written)

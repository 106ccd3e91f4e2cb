"""Files are there whole or not at all, and lines are added one by one."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import LineFile, is_part, open_whole, read_objects, remove_parts, write_whole


def test_a_file_is_replaced_only_once_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with open_whole(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
        assert [is_part(each) for each in sorted(tmp_path.iterdir())] == [True, False]
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path: Path, error: BaseException) -> None:
    with open_whole(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_fails_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "old")
    expected = CwmTraceError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".a.parquet.part").write_bytes(b"half")
    (tmp_path / "data" / "b.part").write_bytes(b"the user's")
    remove_parts(tmp_path)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["b.part"]


def test_what_is_no_file_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"said")
    reader.join()
    assert heard == [b"said"]
    write_whole("/dev/null", b"nowhere")
    assert not Path("/dev/null").is_file()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    write_whole(tmp_path / "link", "there")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_text() == "there"


def test_writers_that_share_a_file_do_not_mix(tmp_path: Path) -> None:
    texts = [letter * 100_000 for letter in "abcd"]
    writers = [
        threading.Thread(target=write_whole, args=(tmp_path / "f", text), kwargs={"shared": True})
        for text in texts
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "f").read_text() in texts
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("place", ["no/such/folder/f", "file/f"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CwmTraceError, match=f"cannot write .*{place}"):
        write_whole(tmp_path / place, "")
    with pytest.raises(CwmTraceError, match=f"cannot write .*{place}"):
        LineFile(tmp_path / place)


def test_one_writer_keeps_others_out_until_it_closes(tmp_path: Path) -> None:
    with LineFile(tmp_path / "log"), pytest.raises(CwmTraceError, match="being written by another process"):
        LineFile(tmp_path / "log")
    LineFile(tmp_path / "log").close()


def test_writers_take_turns(tmp_path: Path) -> None:
    files = [LineFile(tmp_path / "log", alone=False) for _ in range(2)]
    places = [file.write(f"{number}\n".encode()) for number in range(5) for file in files]
    assert (tmp_path / "log").read_text() == "".join(f"{number}\n" * 2 for number in range(5))
    assert [files[0].read(place, 2) for place in places] == [b"%d\n" % n for n in range(5) for _ in files]


def test_a_line_that_was_cut_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"whole\nhal")
    with LineFile(path) as file:
        assert file.whole_length() == 6
        start = file.write(b"next\n")
        assert path.read_bytes()[start:] == b"next\n"
    assert path.read_bytes() == b"whole\nhal\nnext\n"


def test_a_write_that_fails_leaves_nothing_of_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: LineFile, data: bytes) -> None:
        file.write(data[:3])  # what the disk still takes
        raise OSError(errno.ENOSPC, "No space left on device")

    with LineFile(tmp_path / "log") as file:
        file.write(b"first\n")
        monkeypatch.setattr("cwm_trace.files.write_all", fill)
        with pytest.raises(OSError, match="No space"):
            file.write(b"second\n")
    assert (tmp_path / "log").read_bytes() == b"first\n"


def test_whole_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a": ')
    assert list(read_objects(path)) == [{"a": 1}, {"a": 2}]
    path.write_bytes(b'{"a": 1}\n[2]\n')
    with pytest.raises(CwmTraceError, match="line 2 is not a JSON object"):
        list(read_objects(path))
    with pytest.raises(CwmTraceError, match="cannot read"):
        list(read_objects(tmp_path / "none"))

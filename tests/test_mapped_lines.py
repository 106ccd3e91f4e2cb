"""What is written into mapped memory is in the file; for killed processes see `tracer/test_log.py`."""

from __future__ import annotations

from pathlib import Path

from cwm_trace.mapped_lines import MappedLines


def test_lines_beyond_a_window_are_there(tmp_path: Path) -> None:
    """As many, and as long ones, as no window holds; a flush in between changes nothing."""
    path = tmp_path / "t"
    lines = [bytes([97 + number % 26]) * (1 + number * 37 % 5000) + b"\n" for number in range(400)]
    lines.insert(200, b"long" * 100_000 + b"\n")
    with open(path, "w+b", buffering=0) as file:
        mapped = MappedLines(descriptor=file.fileno())
        for number, line in enumerate(lines):
            mapped.write(line)
            if number == 100:
                mapped.flush()
                assert path.read_bytes() == b"".join(lines[:101])
        assert path.read_bytes().rstrip(b"\0") == b"".join(lines)
        mapped.flush()
    assert path.read_bytes() == b"".join(lines)

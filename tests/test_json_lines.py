"""Lines as JSON."""

from __future__ import annotations

import pytest

from cwm_trace.json_lines import dump_frame, dump_line
from cwm_trace.records import FrameFields

EVERY_CHARACTER = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))


@pytest.mark.parametrize("text", [EVERY_CHARACTER * 2, "\ud800" * 70_000])
def test_the_line_of_a_frame_is_the_same_however_long_its_values_are(text: str) -> None:
    frame: FrameFields = {
        "event": "exception",
        "line": 1,
        "activation": 0,
        "depth": 0,
        "changed": {text[:1000]: {"text": text, "type": "é", "size": 1, "clipped": 2}, "gone": None},
        "value": {"text": text, "type": "ValueError"},
        "message": text,
    }
    assert dump_frame(frame) == dump_line(frame)

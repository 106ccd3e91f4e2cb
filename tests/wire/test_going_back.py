from __future__ import annotations

import pytest

from cwm_trace.wire.going_back import find_ways_back


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("for i in x:\n while i:\n  a()\n else:\n  b()\n", {2: (1,), 3: (2, 1), 4: (1,), 5: (1,)}),
        ("while x:\n    with y:\n        break\n    a()\n", {2: (1,), 4: (1,)}),
        ("for i in x: a()\n", {}),
        ("@a\n@b\nclass C:\n    n = 1\n", {2: (1,), 3: (2, 1)}),
        ("for i in x:\n    f(\n        i)\n", {2: (1,), 3: (1,)}),
        ("for i in (:\n    pass\n", {}),
        ("\0", {}),
    ],
)  # fmt: skip
def test_lines_before_that_may_run_next(text: str, back: dict[int, tuple[int, ...]]) -> None:
    assert find_ways_back(text) == back

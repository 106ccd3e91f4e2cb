"""Peak memory of recording to a file: it must not grow with the number of events.

python benchmarks/memory.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """\
total = 0
items = []
for index in range({turns}):
    total += index
    items = [total, index]
"""


def peak_memory(turns: int, *, traced: bool) -> tuple[int, float]:
    """Bytes of trace and MiB of peak resident memory of a program with three line events in a turn."""
    with tempfile.TemporaryDirectory() as folder:
        script, trace = Path(folder) / "program.py", Path(folder) / "t.trace.jsonl"
        script.write_text(PROGRAM.format(turns=turns))
        how = ["-m", "cwm_trace", "run", "-q", "-o", str(trace)] if traced else []
        process = subprocess.Popen([sys.executable, *how, str(script)])
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return trace.stat().st_size if traced else 0, usage.ru_maxrss / 1024


def main() -> None:
    for turns in (3_333, 33_333, 333_333):
        size, peak = peak_memory(turns, traced=True)
        _, plain = peak_memory(turns, traced=False)
        print(
            f"{3 * turns:>9,} line events: {peak:6.1f} MiB ({plain:.1f} untraced), trace {size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()

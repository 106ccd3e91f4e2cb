"""What a page of the viewer costs: seconds to make it, bytes, seconds until a browser shows it, and a step.

python benchmarks/view.py [--frames 1000 10000 100000]

The program is a loop with calls, its prediction the floor `copy`. The browser's columns need Node, chromium
and CWM_TRACE_BROWSER, a folder with playwright-core (`.ci/lanes/70-browser` makes build/browser).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from cwm_trace import Limits, compare_execution, trace_execution
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.registry import find_predictor
from cwm_trace.viewer import view_page

PROGRAM = """\
def step(total, number):
    squares = [n * n for n in range(number % 7)]
    return total + sum(squares) % 11

def run(count):
    total = 0
    seen = {}
    for number in range(count):
        total = step(total, number)
        seen[number % 13] = total
    return total
"""
TOOLS = os.environ.get("CWM_TRACE_BROWSER", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    print("  frames   compare  make page      bytes  a frame     open  a step")
    for frames in parser.parse_args().frames:
        real = trace_execution(PROGRAM, call=f"run({frames // 20})", limits=Limits(max_frames=frames))
        start = replace(real, frames=real.frames[:1])
        guess = find_predictor("copy").predict(Request(start, "forced", truth=real, max_frames=frames))
        began = time.perf_counter()
        comparison = compare_execution(real, guess)
        compared = time.perf_counter()
        page = view_page(real, [guess], comparisons=[comparison])
        made = time.perf_counter()
        figures = (
            f"{compared - began:8.2f}s {made - compared:9.2f}s {len(page):10,} {len(page) / frames:8.1f}"
        )
        print(f"{frames:8,} {figures}{in_browser(page)}", flush=True)


def in_browser(page: str) -> str:
    """Seconds until the page shows its first state, and for a step on from the middle of it."""
    if not TOOLS:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, "utf-8")
        script = Path(__file__).with_name("view.mjs")
        output = subprocess.run(["node", str(script), str(path)], capture_output=True, text=True, check=True)
    seconds = json.loads(output.stdout)
    return f" {seconds['open']:7.2f}s {1000 * seconds['step']:5.1f}ms"


if __name__ == "__main__":
    main()

"""Make the pictures of the documentation from the shipped model.

python docs/pictures/make.py

Needs Node, chromium and CWM_TRACE_BROWSER, a folder with playwright-core: `.ci/lanes/70-browser` makes
build/browser.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from cwm_trace import compare_execution, predict_execution, trace_execution
from cwm_trace.predict.registry import find_predictor
from cwm_trace.records import Decoding
from cwm_trace.viewer import view_page

HERE = Path(__file__).parent
PROGRAM = """\
def steps_to_one(n):
    steps = 0
    while n != 1:
        if n % 2:
            n = 3 * n + 1
        else:
            n //= 2
        steps += 1
    return steps


def longest(numbers):
    best = 0
    for number in numbers:
        count = steps_to_one(number)
        if count > best:
            best = count
    return best
"""
SHOT = """
import { createRequire } from "node:module";
const { chromium } = createRequire(process.env.CWM_TRACE_BROWSER + "/")("playwright-core");
const [, page, picture, hash] = process.argv;
const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args });
const tab = await browser.newPage({ viewport: { width: 1280, height: 720 } });
await tab.goto(`file://${page}${hash}`);
await tab.waitForSelector("#where strong");
await tab.waitForTimeout(500);
await tab.screenshot({ path: picture });
await browser.close();
"""


def main() -> None:
    """Make them all."""
    call = "longest([3, 6])"
    real = trace_execution(PROGRAM, call=call)
    mini = find_predictor("mini", Decoding(logprobs=True), grammar="flow")
    guess = predict_execution(PROGRAM, call=call, mode="forced", history=real, model=mini)
    comparison = compare_execution(real, guess)
    page = view_page(real, [guess], title="steps.py", comparisons=[comparison])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, "utf-8")
        command = ["node", "--input-type=module", "-e", SHOT, str(path), str(HERE / "view.png"), ""]
        subprocess.run(command, check=True, env=os.environ)
    right = comparison.frame_exact
    print(f"view.png: {right.hits} of {right.total} frames are right")


if __name__ == "__main__":
    main()

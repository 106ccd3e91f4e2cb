"""The page in a real browser, by Node's test runner: browser.test.mjs says what is looked at."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cwm_trace import trace_execution
from cwm_trace.api import evaluate
from cwm_trace.eval.comparison import compare
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.registry import find_predictor
from cwm_trace.records import Event, Frame, Guess, Program, Slot, SourceFile, Trace
from cwm_trace.states import resolve_states
from cwm_trace.viewer import view_page, write_report
from tests.effort import HANGS
from tests.eval.predictors import NoisyPredictor
from tests.viewer.pages import HOSTILE_TEXTS, hostile_trace

HERE = Path(__file__).parent
TOOLS = os.environ.get("CWM_TRACE_BROWSER", "")
PROGRAM = """\
def collatz(n):
    steps = 0
    while n != 1:
        if n % 2:
            n = 3 * n + 1
        else:
            n //= 2
        steps += 1
    return steps

def both(a, b):
    first = collatz(a)
    second = collatz(b)
    return first, second
"""


def hostile_page() -> str:
    """All hostile texts in one trace, four frames each."""
    parts = [hostile_trace(text) for text in HOSTILE_TEXTS]
    frames = [replace(frame, activation=at) for at, part in enumerate(parts) for frame in part.frames]
    guess = replace(parts[0], frames=tuple(frames), guess=Guess(mode="free", given=1))
    guess = replace(
        guess, frames=tuple(replace(f, changed={k: Slot("<b>") for k in f.changed}) for f in guess.frames)
    )
    return view_page(replace(parts[0], frames=tuple(frames)), [guess], title=HOSTILE_TEXTS[0])


def long_page() -> str:
    loop = [
        Frame(Event.LINE, 1 + at % 2, "for i in x:" if at % 2 == 0 else "    i", changed={"i": Slot(str(at))})
        for at in range(100_000)
    ]
    return view_page(Trace(Program((SourceFile("p.py", "for i in x:\n    i"),), "<module>"), tuple(loop)))


def write_pages(folder: Path) -> None:
    real = trace_execution(PROGRAM, call="both(3, 6)")
    copy = find_predictor("copy").predict(request(real))
    flow = find_predictor("flow-copy").predict(request(real))
    (folder / "pair.html").write_text(view_page(real, [copy, flow]), "utf-8")
    (folder / "hostile.html").write_text(hostile_page(), "utf-8")
    (folder / "long.html").write_text(long_page(), "utf-8")
    results = evaluate(
        ["copy", NoisyPredictor(37)], "smoke", limit=4, baselines=False, output=folder / "logs"
    )
    write_report(results, folder / "report")
    lines, frames = [frame.source.strip() for frame in real.frames], real.frames
    call = lines.index("first = collatz(a)")
    header = next(at for at, line in enumerate(lines) if line.startswith("while"))
    facts: dict[str, Any] = {
        "count": len(frames),
        "source": lines,
        "states": {
            at: {name: slot.text for name, slot in state.items()}
            for at, state in enumerate(resolve_states(frames))
            if state is not None and at % 5 == 0
        },
        "wrong": [pair.index for pair in compare(real, copy).pairs if pair.scored and not pair.exact],
        "walk": {
            "before": call,
            "over": lines.index("second = collatz(b)"),
            "out": lines.index("second = collatz(b)"),
            "caller": call,
        },
        "search": {"text": "RETURN FIRST", "found": lines.index("return first, second")},
        "entryLine": 8,
        "secondCall": next(at for at, frame in enumerate(frames) if frame.activation == 1),
        "loop": {
            "row": header,
            "next": next(at for at in range(header + 1, len(lines)) if lines[at] == lines[header]),
        },
        "hostile": {
            "count": 4 * len(HOSTILE_TEXTS),
            "long": 4 * next(at for at, text in enumerate(HOSTILE_TEXTS) if len(text) > 1_000_000),
        },
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def request(real: Trace) -> Request:
    return Request(replace(real, frames=real.frames[:1]), "forced", truth=real)


@pytest.mark.skipif(not TOOLS, reason="CWM_TRACE_BROWSER names no folder with playwright-core and axe-core")
def test_in_a_browser(tmp_path: Path) -> None:
    write_pages(tmp_path)
    environment = {**os.environ, "CWM_TRACE_PAGES": str(tmp_path)}
    result = subprocess.run(
        ["node", "--test", str(HERE / "browser.test.mjs")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert result.returncode == 0, result.stdout + result.stderr

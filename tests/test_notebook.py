"""The magic in a real kernel: two cells, one trace with both."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

CHECKOUT = Path(__file__).parent.parent
FIRST = "def square_sum(xs):\n    total = 0\n    for x in xs:\n        total += x * x\n    return total\n"


@pytest.fixture(scope="module")
def kernel() -> Any:
    """A client of a kernel in this interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    manager = jupyter_client.KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel(env=environment)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=600)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_cell(kernel: Any, text: str) -> tuple[str, str, str]:
    """What a cell prints, the HTML of its result, and the name of its error."""
    printed, html, error = "", "", ""

    def hear(message: Any) -> None:
        nonlocal printed, html, error
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                printed += content["text"]
            case "execute_result" | "display_data":
                html += content["data"].get("text/html", "")
            case "error":
                error = content["ename"]

    kernel.execute_interactive(text, output_hook=hear, timeout=600)
    return printed, html, error


def test_a_cell_is_recorded_with_what_it_calls_in_another(kernel: Any) -> None:
    assert run_cell(kernel, "%load_ext cwm_trace") == ("", "", "")
    assert run_cell(kernel, FIRST) == ("", "", "")
    printed, html, error = run_cell(kernel, "%%cwm_trace t\nn = 3\ny = square_sum([n, 1])\nprint(y)\n")
    assert (printed, error) == ("10\n", "")
    assert "\u00a0" * 8 + "total += x * x" in html  # indented, whatever the style sheet of the notebook says
    assert 'style="text-align:left"' in html
    assert "_ih" not in html
    printed, _, _ = run_cell(
        kernel,
        "calls = [f.source.strip() for f in t.frames if f.event.value == 'call']\n"
        "print(calls, len(t.files), t.outcome.value)",
    )
    assert printed == "['', 'def square_sum(xs):'] 2 returned\n"


def test_functions_of_other_cells_are_the_users(kernel: Any) -> None:
    run_cell(kernel, FIRST)
    run_cell(kernel, "def helper(a):\n    b = square_sum([a])\n    return b\n")
    text = (
        "from cwm_trace import record, trace_execution\n"
        "with record() as recording:\n    helper(3)\n"
        "trace = trace_execution(helper, 2)\n"
        "print(len(trace.frames), len(recording.trace.frames), recording.trace.warnings)\n"
    )
    assert run_cell(kernel, text)[0] == "11 11 ()\n"


def test_a_cell_that_raises_shows_its_trace_and_its_error(kernel: Any) -> None:
    run_cell(kernel, "%load_ext cwm_trace")
    _, html, error = run_cell(kernel, "%%cwm_trace\nx = 1\n1 / 0\n")
    assert error == "ZeroDivisionError"
    assert "1 / 0" in html
    lines = []

    def hear(message: Any) -> None:
        if message["msg_type"] == "error":
            lines.extend(message["content"]["traceback"])

    kernel.execute_interactive("%%cwm_trace\nx = 1\n1 / 0\n", output_hook=hear, timeout=600)
    assert "ZeroDivisionError" in lines[-1]
    assert not any("notebook.py" in line for line in lines)


def test_what_the_magic_does_not_know_is_one_sentence(kernel: Any) -> None:
    printed, _, _ = run_cell(kernel, "%%cwm_trace 1 2\nx = 1\n")
    assert printed == "UsageError: cannot understand '1 2': %%cwm_trace [NAME] [--max-frames N]\n"
    printed, _, _ = run_cell(kernel, "%%cwm_trace\nimport asyncio\nawait asyncio.sleep(0)\n")
    assert printed == "UsageError: the cell awaits: put that into an async function, and record(…) that\n"


def test_a_trace_in_a_variable_is_a_short_value_in_the_next(kernel: Any) -> None:
    run_cell(kernel, "%load_ext cwm_trace")
    for _ in range(3):
        run_cell(kernel, "%%cwm_trace kept\nn = 3\n")
    printed, _, _ = run_cell(kernel, "print(kept.frames[0].changed['kept'].text)")
    assert printed == "<Trace of <module>: 3 frames (returned)>\n"

"""What starting costs: processor seconds of commands, beside an empty Python and its imports.

python benchmarks/startup.py [--repeats N]

Of several runs the cheapest counts. The last but one stops at the bundled model's first predicted frame.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = "total = 0\nfor index in range(3):\n    total += index\n"
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import click": ("-c", "import click"),
    "import torch": ("-c", "import torch"),
    "import transformers, CwmForCausalLM": ("-c", "from transformers import CwmForCausalLM"),
    "cwm-trace --help": ("-m", "cwm_trace", "--help"),
    "cwm-trace run p.py": ("-m", "cwm_trace", "run", "-q", "p.py"),
    "cwm-trace show p.trace.jsonl": ("-m", "cwm_trace", "show", "p.trace.jsonl"),
    "cwm-trace compare": ("-m", "cwm_trace", "compare", "p.trace.jsonl", "p.trace.jsonl"),
    "cwm-trace predict p.py --model copy": ("-m", "cwm_trace", "predict", "p.py", "--model", "copy"),
    "cwm-trace predict p.py, to its first frame": ("-m", "cwm_trace", "predict", "p.py", "--max-frames", "1"),
    "cwm-trace demo": ("-m", "cwm_trace", "demo"),
}


def measure(arguments: tuple[str, ...], folder: Path) -> float:
    """Processor seconds, of the user and of the system, that a Python with these arguments takes."""
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    has_torch = importlib.util.find_spec("torch") is not None
    has_mini = importlib.util.find_spec("tokenizers") is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "p.py").write_text(PROGRAM)
        measure(COMMANDS["cwm-trace run p.py"], folder)
        for what, arguments in COMMANDS.items():
            needs = (
                has_mini if "first frame" in what or "demo" in what else has_torch or "import t" not in what
            )
            if needs:
                print(f"{min(measure(arguments, folder) for _ in range(repeats)):6.2f} s  {what}", flush=True)


if __name__ == "__main__":
    main()

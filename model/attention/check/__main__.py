"""Check the attention kernels where they run, and print a report to paste into an issue.

With a GPU: random cases against float64, 200 repeats with the same bits, compute-sanitizer if installed, and
times against PyTorch's own attention. Without one: the CPU engines of the repository's tests.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.check.cases import Case, find_faults
from cwm_trace.model.attention.check.draw import draw_case
from cwm_trace.model.attention.interval import attend_segments
from cwm_trace.model.attention.kernels import find_kernels
from cwm_trace.model.attention.nvrtc import find_nvrtc

ROOT = Path(__file__).resolve().parents[3]
Attend = Callable[[Case], tuple[Tensor, Tensor, list[str]]]
"""Runs a case; returns output, log-sum-exp, and what the engine found wrong."""
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")


def main() -> None:
    """Print the report; exit code 1 if something is wrong, 2 if nothing could be checked."""
    parser = argparse.ArgumentParser(
        prog="python -m cwm_trace.model.attention.check", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--cases", type=int, default=300, help="random cases (default: 300)")
    parser.add_argument("--repeats", type=int, default=200, help="repeats of one case (default: 200)")
    parser.add_argument("--only", choices=["cases"], help="leave out sanitizer and times")
    arguments = parser.parse_args()
    try:
        faults = report(arguments.cases, arguments.repeats, arguments.only is None)
    except CwmTraceError as error:
        print(f"cwm-trace: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(bool(faults))


def report(cases: int, repeats: int, everything: bool) -> int:
    """Run all checks and print what they found.

    Returns:
        How many were wrong.

    Raises:
        CwmTraceError: There is neither a GPU nor the engines.
    """
    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}, Python {platform.python_version()}")
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        about = torch.cuda.get_device_properties(device)
        print(f"{about.name}, sm_{about.major}{about.minor}, NVRTC {find_nvrtc().version}")
        faults = check("the GPU", _on_device(device), cases, repeats)
        if everything:
            faults += _sanitize()
            timing = importlib.import_module("cwm_trace.model.attention.check.timing")
            for line in timing.time_all(device):
                print(line, flush=True)
        return faults
    print("no GPU: the kernels run in the engines of the tests, on the CPU; nothing here is about time")
    engines = _find_engines()
    faults = check("the simulator", _in_engine(engines.simulate), cases, repeats)
    for arch in (80, 90, 100, 120):
        emulate = _in_engine(lambda case, arch=arch: engines.emulate(case, arch))
        faults += check(f"the emulator of sm_{arch}", emulate, max(1, cases // 10), 2)
    return faults


def check(where: str, attend: Attend, cases: int, repeats: int) -> int:
    """Run random cases against float64, and one of them again and again; print and count what is wrong."""
    wrong = 0
    for seed in range(cases):
        case = draw_case(seed)
        out, lse, errors = attend(case)
        faults = errors + find_faults(case, out, lse)
        if faults:
            wrong += 1
            print(f"WRONG {case.name}: {'; '.join(faults[:3])}")
    print(f"{where}: {cases} cases against float64, {wrong} wrong", flush=True)
    case = draw_case(11, "branches", 32, torch.bfloat16, most_tokens=24)
    first = attend(case)
    same = 0
    for _ in range(repeats):
        again = attend(case)
        same += torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    print(f"{where}: {same} of {repeats} repeats have the same bits", flush=True)
    return wrong + (same != repeats)


def _on_device(device: torch.device) -> Attend:
    def attend(case: Case) -> tuple[Tensor, Tensor, list[str]]:
        q, stores, schedule, scale = case.to(device)
        if find_kernels(q, *(x for each in stores for x in each[:2])) is None:
            raise CwmTraceError("the kernels cannot run on this GPU: the warning above says why")
        out, lse = attend_segments(q, stores, schedule, scale)
        return out, lse, []

    return attend


def _find_engines() -> Any:
    """Import the engines; they are tests, so an installed package has none.

    Raises:
        CwmTraceError: They are not there, or lack a compiler.
    """
    if not (ROOT / "tests" / "model" / "attention" / "runs.py").is_file():
        raise CwmTraceError(
            "there is no GPU here, and the CPU engines are in the repository only: run this in a clone of it"
        )
    sys.path.insert(0, str(ROOT))
    engines = importlib.import_module("tests.model.attention.runs")
    why_not: str | None = importlib.import_module("tests.model.attention.simulator").why_not()
    if why_not:
        raise CwmTraceError(f"there is no GPU here, and the CPU engines cannot run: {why_not}")
    return engines


def _in_engine(run_case: Callable[..., Any]) -> Attend:
    def attend(case: Case) -> tuple[Tensor, Tensor, list[str]]:
        run = run_case(case)
        conflicts = [f"{run.bank_conflicts} bank conflicts"] if run.bank_conflicts else []
        return run.out, run.lse, run.errors + conflicts

    return attend


def _sanitize() -> int:
    """Run some cases under compute-sanitizer; count the tools that complain."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        print("compute-sanitizer is not installed: left out")
        return 0
    wrong = 0
    for name in TOOLS:
        own = ["cwm_trace.model.attention.check", "--only", "cases", "--cases", "8", "--repeats", "1"]
        command = [tool, "--tool", name, "--error-exitcode", "9", sys.executable, "-m", *own]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wrong += done.returncode != 0
        last = (done.stdout.strip().splitlines() or ["said nothing"])[-1]
        print(f"compute-sanitizer {name}: {'wrong, ' if done.returncode else ''}{last}", flush=True)
    return wrong


if __name__ == "__main__":
    main()

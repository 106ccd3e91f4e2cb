"""Whether suites of tests give the same verdicts while they are recorded, and what that costs.

    python benchmarks/suites.py                   # all packages, in a temporary folder; about three minutes
    python benchmarks/suites.py toolz --work DIR  # one of them; its traces stay in DIR
    python benchmarks/suites.py cpython           # forty modules of CPython's own tests, as user code
    python benchmarks/suites.py cpython --module test_enum --python PATH    # one, with another interpreter

Each package gets a venv with cwm-trace from this checkout, and the package (from its sdist), pytest and its
plugins at pinned versions. Its suite runs as it is, under `cwm-trace run` (one trace), and with `--per-test`;
verdicts are compared test by test from pytest's XML reports, and the traces are read back. Differences that
are known are printed with their reasons; any other makes the exit code 1. No frame limit is set.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from cpython_suite import MODULES, compare_modules
from rich.console import Console
from rich.table import Table

from cwm_trace.errors import CwmTraceError
from cwm_trace.storage import read_trace

CHECKOUT = Path(__file__).parent.parent
Verdicts = Counter[tuple[str, str]]  # of a test and its verdict


@dataclass(frozen=True)
class Suite:
    """A package whose sdist has its tests; `known` are those that may differ, with the reason."""

    name: str
    version: str
    kind: str
    requirements: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One run of a suite; `said` is what it wrote."""

    verdicts: Verdicts
    seconds: float
    said: str


PYTEST = "pytest==8.4.2"
_BROKEN = "a broken trace"
_LATE = "a race, lost untraced too: the pager's shell must be terminated before it has started the pager"
_PAGERS = ("cat", "cat ", " cat ", "less", " less", " less ")
CPYTHON = "cpython"
SUITES = [
    Suite("toolz", "1.0.0", "functions over iterables"),
    Suite(
        "janus",
        "2.0.0",
        "asyncio and threads",
        ("pytest-asyncio==1.0.0", "pytest-codspeed==3.2.0"),
        ("-o", "addopts="),  # its own ask for coverage, which would replace the trace function
        {
            "test_closed_loop_non_failing": "counts calls of loop.is_closed, which the loop's __repr__ calls"
            " (docs/tracer-limits.md: side effects of a __repr__)"
        },
    ),
    Suite(
        "click",
        "8.2.1",
        "command lines",
        known={f"test_echo_via_pager[test{n}-{c}]": _LATE for n in (5, 6) for c in _PAGERS},
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = [*(suite.name for suite in SUITES), CPYTHON]
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="; ".join(names))
    parser.add_argument("--work", type=Path, metavar="DIR", help="work there, and leave everything there")
    parser.add_argument("--module", action="append", metavar="NAME", help="of cpython: this test module")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="of cpython: run by this")
    options = parser.parse_args()
    if unknown := set(options.packages) - set(names):
        parser.error(f"there is no suite of {', '.join(sorted(unknown))}")
    if CPYTHON in options.packages and compare_modules(options.python, options.module or MODULES):
        sys.exit(1)
    if options.packages == [CPYTHON]:
        return
    table = Table(title=f"suites under cwm-trace, Python {sys.version.split()[0]}")
    columns = ("package", "run", "tests", "same verdicts", "traces", "frames", "seconds", "ratio")
    for column in columns:
        table.add_column(column, justify="left" if column in columns[:2] else "right")
    notes, failed = list[str](), False
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        for suite in SUITES:
            if not options.packages or suite.name in options.packages:
                failed |= measure(suite, work / suite.name, table, notes)
    Console(width=110).print(table)
    print("\n".join(notes))
    sys.exit(int(failed))


def measure(suite: Suite, folder: Path, table: Table, notes: list[str]) -> bool:
    """Run a suite in its three ways and add its rows; gives whether one differs without a known reason."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = prepare(suite, folder)
    tracer = [str(folder / "venv/bin/cwm-trace"), "run", "--include", f"*/site-packages/{suite.name}/*"]
    whole, each = folder / "whole.jsonl.gz", folder / "tests"
    plain = run_suite(suite, source, [str(folder / "venv/bin/python")], "plain")
    traced = run_suite(suite, source, [*tracer, "-o", str(whole)], "traced")
    tests = run_suite(suite, source, [*tracer, "--per-test", "-o", str(each)], "per-test")
    count = plain.verdicts.total()
    table.add_row(f"{suite.name} {suite.version}", "plain", str(count), "", "", "", f"{plain.seconds:.1f}")
    failed = count == 0
    for label, result, paths in ("one trace", traced, [whole]), ("per test", tests, [*each.glob("*.jsonl")]):
        differing = {key[0] for key, _ in set(plain.verdicts.items()) ^ set(result.verdicts.items())}
        unknown = {test for test in differing if test.rpartition("::")[2] not in suite.known}
        for test in sorted(differing):
            reason = suite.known.get(test.rpartition("::")[2], "NOT KNOWN")
            notes.append(f"{suite.name}, {label}: {test}: {reason}")
        frames, warnings = read_back(paths)
        notes += [f"{suite.name}, {label}: {text}" for text in sorted(warnings)]
        failed |= bool(unknown) or frames == 0 or _BROKEN in " ".join(warnings)
        same = "yes" if not differing else f"all but {len(differing)}" + (" (!)" if unknown else " (known)")
        if result.verdicts.total() == 0:
            notes.append(f"{suite.name}, {label}: no report; it said: {result.said[-400:]}")
        table.add_row(
            suite.kind if label == "one trace" else "",
            label,
            str(result.verdicts.total()),
            same,
            str(len(paths)),
            f"{frames:,}",
            f"{result.seconds:.1f}",
            f"{result.seconds / plain.seconds:.1f}",
        )
    return failed


def prepare(suite: Suite, folder: Path) -> Path:
    """Make the venv, and give the folder of the unpacked sdist."""
    checkout = folder / "checkout"  # a copy: pip builds in the folder it is given
    shutil.copytree(
        CHECKOUT, checkout, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "tests", "__pycache__")
    )
    pip = [str(folder / "venv/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pinned = f"{suite.name}=={suite.version}"
    call([sys.executable, "-m", "venv", str(folder / "venv")])
    call([*pip, "download", "--no-binary", suite.name, "--no-deps", "-d", str(folder), pinned])
    archive = next(folder.glob("*.tar.gz"))
    call([*pip, "install", str(checkout), PYTEST, *suite.requirements, str(archive)])
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "sdist", filter="data")
    return next((folder / "sdist").iterdir())


def call(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=240, stdin=subprocess.DEVNULL)


def run_suite(suite: Suite, source: Path, launcher: list[str], name: str) -> Result:
    """Run pytest under `launcher` in the folder of the sdist."""
    report = source.parent.parent / f"{name}.xml"
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *suite.arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    start = time.perf_counter()
    command = [*launcher, *arguments]
    done = subprocess.run(command, cwd=source, env=environment, timeout=240, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    verdicts: Verdicts = Counter()
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        verdict = (
            "+".join(sorted({child.tag for child in case} & {"failure", "error", "skipped"})) or "passed"
        )
        verdicts[f"{case.get('classname')}::{case.get('name')}", verdict] += 1
    return Result(verdicts, seconds, done.stdout + done.stderr)


def read_back(paths: list[Path]) -> tuple[int, Counter[str]]:
    """Frames of all trace files, and what they warn about."""
    frames, warnings = 0, Counter[str]()
    for path in paths:
        try:
            trace = read_trace(path)
        except CwmTraceError as error:
            warnings[f"{_BROKEN}: {error}"] += 1
            continue
        frames += len(trace.frames)
        warnings.update(
            [*trace.warnings, *([f"{_BROKEN}: no end"] if trace.outcome.value == "incomplete" else [])]
        )
    return frames, warnings


if __name__ == "__main__":
    main()

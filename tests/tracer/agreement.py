"""Whether both recorders write the same trace files, byte for byte; as a script over as much as is asked for.

PYTHONPATH=. python3.13 tests/tracer/agreement.py --programs 5000 --cruxeval FILE --humaneval FILE SCRIPT…

Samples and hazards are always part of it. Up to Python 3.12 the recorder in Python keeps what the locals of a
frame show, and with it a generator that the program drops (docs/tracer-limits.md): drawn programs that could
tell are left out there, and counted.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from cwm_trace.datasets.loaders.cruxeval import load_cruxeval
from cwm_trace.datasets.loaders.humaneval import load_humaneval
from cwm_trace.records import Limits
from cwm_trace.storage import TraceWriter
from cwm_trace.strategies import DrawnProgram, programs
from cwm_trace.tracer.program import Runnable, load_call, load_script
from cwm_trace.tracer.recorders import Kind
from cwm_trace.tracer.session import Options, record_program
from tests.tracer.both import COUNT_THREADS, DISTORTED_BY_PYTHON, HAZARDS
from tests.tracer.goldens import SAMPLES, alone, sample_names

KINDS: tuple[Kind, ...] = ("c", "python")
_DROPS = re.compile(r"= \(.* for |\bnext\(")  # a generator that a name holds


def written(load: Callable[[], Runnable], kind: Kind, limits: Limits = Limits()) -> bytes:
    """The trace file of a program, by one recorder, without the name of that."""
    with alone(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.jsonl"
        with TraceWriter(path) as writer:
            record_program(load(), writer, Options(limits, recorder=kind, capture_output=True))
        return without_name(path.read_bytes(), kind)


def without_name(data: bytes, kind: Kind) -> bytes:
    """A trace file without the name of its recorder, which has to be this one."""
    name = f'"recorder":"{kind}"'.encode()
    assert name in data.partition(b"\n")[0], f"{kind} did not record"
    return data.replace(name, b'"recorder":""', 1)


def difference(load: Callable[[], Runnable], limits: Limits = Limits()) -> str:
    """The first line that the recorders have different, in both; empty if they agree."""
    return first_difference(*(written(load, kind, limits) for kind in KINDS))


def first_difference(ours: bytes, theirs: bytes) -> str:
    """The first line in which two files differ; empty if they do not."""
    if ours == theirs:
        return ""
    mine, other = ours.splitlines(), theirs.splitlines()
    at = next((at for at, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]), -1)
    shown = [lines[at][:300] if at >= 0 else len(lines) for lines in (mine, other)]
    return f"line {at}: {shown[0]!r} by c, {shown[1]!r} by python"


def may_differ(program: DrawnProgram) -> bool:
    """Whether a drawn program may drop a generator that has begun, which the recorder in Python holds."""
    return sys.version_info < (3, 13) and _DROPS.search(program.source) is not None


def scripts() -> Iterator[Path]:
    """Samples and hazards that tell nobody who records them."""
    for path in [*(SAMPLES / f"{name}.py" for name in sample_names()), *sorted(HAZARDS.glob("*.py"))]:
        if path.stem not in DISTORTED_BY_PYTHON | COUNT_THREADS:
            yield path


class Count:
    """How many programs of each kind agree, and what the others have different."""

    def __init__(self) -> None:
        self.agree: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.differ: list[str] = []

    def note(self, kind: str, name: str, difference: str) -> None:
        """One program more."""
        if difference:
            self.differ.append(f"{kind} {name}: {difference}")
        else:
            self.agree[kind] += 1

    def drawn(self, number: int) -> None:
        """Programs of the strategies, some of them with their values cut short."""
        if number == 0:
            return
        phases = [Phase.generate]
        health = list(HealthCheck)

        @given(programs())
        @settings(
            max_examples=number, database=None, deadline=None, phases=phases, suppress_health_check=health
        )
        def draw(program: DrawnProgram) -> None:
            if may_differ(program):
                self.left_out["drawn"] += 1
                return
            limits = Limits(max_value_chars=7) if len(program.source) % 5 == 0 else Limits()
            found = difference(lambda: load_call(program.source, program.call), limits)
            self.note("drawn", str(program) if found else "", found)

        draw()

    def in_child(self, path: str) -> None:
        """A script that may do anything to its process."""
        files = []
        with tempfile.TemporaryDirectory() as folder:
            for kind in KINDS:
                trace = os.path.join(folder, "t.jsonl")
                command = ["-m", "cwm_trace", "run", "-q", "--recorder", kind, "-o", trace, path]
                subprocess.run([sys.executable, *command], capture_output=True, timeout=600, check=False)
                files.append(without_name(Path(trace).read_bytes(), kind))
        self.note("script", path, first_difference(*files))


def main() -> int:
    """Compare; the exit code says whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scripts", nargs="*", help="more scripts, each run by `cwm-trace run`")
    parser.add_argument("--programs", type=int, default=100, help="how many are drawn")
    parser.add_argument("--cruxeval", help="a CRUXEval file, whose programs are compared as well")
    parser.add_argument("--humaneval", help="a HumanEval file, whose programs are compared as well")
    options = parser.parse_args()
    count = Count()
    for path in scripts():
        count.note("script", path.name, difference(partial(load_script, str(path))))
    for path in options.scripts:
        count.in_child(path)
    calls: list[tuple[str, str, str, str]] = []
    if options.cruxeval:
        calls += [("cruxeval", item.id, item.code, item.call) for item in load_cruxeval(options.cruxeval)]
    if options.humaneval:
        calls += [
            ("humaneval", item.id, item.source, item.call) for item in load_humaneval(options.humaneval)
        ]
    for kind, name, source, call in calls:
        count.note(kind, name, difference(partial(load_call, source, call), Limits(max_frames=5_000)))
    count.drawn(options.programs)
    for line in count.differ:
        print(line)
    version = sys.version.split()[0]
    print(f"Python {version}: {dict(count.agree)} agree, {len(count.differ)} differ", end="")
    print(f", {dict(count.left_out)} left out" if count.left_out else "")
    return 1 if count.differ else 0


if __name__ == "__main__":
    sys.exit(main())

"""Building a dataset: traces per second and core, memory, bytes per trace, from one worker to two, kills.

    python benchmarks/dataset.py                        # 5,000 traces with one worker and with two
    python benchmarks/dataset.py --count 200000 --workers 2 --kills 5

The stages of a program are timed first, in this process: CPU time of each, for `--stages` programs.

With `--kills` the build is killed so many times, at random moments, and goes on; times are those of all
runs together. CPU time is that of the whole process tree. Memory is the resident set of the largest worker
and of the main process, sampled twice a second: in the first and in the last tenth of the run, and at most.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cwm_trace.datasets.builder import read_manifest
from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.item_recording import record_item, record_lines, stand_ins
from cwm_trace.datasets.keys import keys_of
from cwm_trace.datasets.rows import write_row
from cwm_trace.datasets.shards import UNIT_LEVEL, compress
from cwm_trace.datasets.tokenizing import tokenize_trace
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.registry import find_mini
from cwm_trace.records import Limits
from cwm_trace.tracer.target import load_text

Result = TypeVar("Result")

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Samples:
    """Resident sets in MiB, of the main process and of the largest other one."""

    main: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)

    def take(self, process: int) -> None:
        sizes = [size for pid in descendants(process) if (size := resident(pid)) is not None]
        main = resident(process)
        if main is not None and sizes:
            self.main.append(main)
            self.worker.append(max(sizes))

    def __str__(self) -> str:
        tenth = max(1, len(self.worker) // 10)
        parts = []
        for name, sizes in (("worker", self.worker), ("main", self.main)):
            steady = sizes[tenth : 2 * tenth] or sizes
            last = sizes[-2 * tenth : -tenth] or sizes
            parts.append(
                f"{name} {sum(steady) / len(steady):.0f} MiB early, {sum(last) / len(last):.0f} late,"
                f" {max(sizes):.0f} at most"
            )
        return "; ".join(parts)


def descendants(process: int) -> list[int]:
    try:
        words = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [pid for child in map(int, words) for pid in (child, *descendants(child))]


def resident(process: int) -> float | None:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE / 2**20
    except (OSError, IndexError):
        return None


def cpu_seconds(process: int) -> float:
    """Of one process, so far (proc(5): fields 14 and 15)."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def build(preset: str, count: int, workers: int, kills: int, folder: Path) -> None:
    command = [sys.executable, "-m", "cwm_trace", "dataset", "build", "--preset", preset]
    command += ["--count", str(count), "-o", str(folder), "--workers", str(workers)]
    draw = random.Random(0)
    samples = Samples()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    hits, lost_cpu = 0, 0.0
    while True:
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        until = time.monotonic() + draw.uniform(0.05, 0.2) * count / 300 if hits < kills else None
        while process.poll() is None and (until is None or time.monotonic() < until):
            time.sleep(0.5)
            samples.take(process.pid)
        if process.poll() is not None:
            break
        lost_cpu += sum(map(cpu_seconds, descendants(process.pid)))  # nobody will wait for them
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        hits += 1
    if process.returncode:
        raise SystemExit(f"the build failed with {process.returncode}: {' '.join(command)}")
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = lost_cpu + after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    manifest = read_manifest(folder)
    rows = sum(manifest.rows.values())
    jsonl, parquet = (
        sum(path.stat().st_size for path in (folder / kind).iterdir()) / rows for kind in ("jsonl", "data")
    )
    print(f"{count:,} traces, {workers} workers, {hits} kills: {count / seconds:,.0f} a second")
    print(f"  {seconds:,.0f} s, {cpu:,.0f} s of CPU: {count / cpu:,.0f} traces a second and core")
    print(f"  {rows:,} rows of {manifest.frames / manifest.tried:.1f} frames")
    print(f"  left out: { ({**manifest.failures, **manifest.dropped}) }")
    print(f"  a row takes {jsonl:,.0f} bytes as JSON Lines, {parquet:,.0f} as Parquet")
    print(f"  memory: {samples}", flush=True)


class Stages:
    """CPU time of what is done with each program, in milliseconds."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._times: dict[str, float] = {}

    def take(self, name: str, work: Callable[[Any], Result], things: Iterable[Any]) -> list[Result]:
        start = time.process_time()
        done = list(map(work, things))
        self._times[name] = self._times.get(name, 0) + 1000 * (time.process_time() - start) / self._count
        return done

    def __getitem__(self, name: str) -> float:
        return self._times[name]


def time_stages(preset: str, count: int) -> None:
    limits = Limits(max_frames=10_000, max_bytes=1_000_000)
    stages = Stages(count)
    with stand_ins():
        for item in [make_item(preset, index) for index in range(50)]:  # what is kept is there
            record_item(item, limits)
        items = stages.take("draw", lambda index: make_item(preset, index), range(count))
        ready = stages.take("compile", lambda item: load_text(item.source, item.call), items)
        both = list(zip(items, ready, strict=True))
        recorded = stages.take("record", lambda pair: record_lines(pair[0], pair[1], limits), both)
        traces = [record_item(item, limits) for item in items]
    made = list(zip(items, recorded, strict=True))
    rows = stages.take("write", lambda pair: write_row(pair[0], *pair[1]) + b"\n", made)
    stages.take("write", lambda lines: compress(lines, UNIT_LEVEL), [rows])
    keys_of(items[0], "train", "", [])  # what it imports is there
    stages.take("keys", lambda item: keys_of(item, "train", "", []), items)
    recording = stages["record"] + stages["write"]
    print(f"one of {count:,} programs, CPU time, recorder {traces[0].run.recorder}")
    print(f"  drawing {stages['draw']:.2f} ms, compiling {stages['compile']:.2f} ms")
    print(f"  recording and writing {recording:.2f} ms, keys for duplicates {stages['keys']:.2f} ms")
    try:
        from cwm_trace.model.tokens import read_tokens

        tokens = read_tokens(find_mini())
    except (ImportError, CwmTraceError) as error:
        print(f"  not tokenized: {error}")
        return
    tokenize_trace(traces[0], tokens)
    documents = stages.take("tokenize", lambda trace: tokenize_trace(trace, tokens), traces)
    size = sum(map(len, documents)) / count
    print(f"  tokenizing {stages['tokenize']:.2f} ms for a document of {size:,.0f} tokens", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="general-v1")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument(
        "--stages", type=int, default=1000, help="programs of which stages are timed; 0: none"
    )
    parser.add_argument("--keep", type=Path, help="leave the dataset here (with one number of workers)")
    options = parser.parse_args()
    if options.stages:
        time_stages(options.preset, options.stages)
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as place:
            folder = options.keep or Path(place) / "data"
            build(options.preset, options.count, workers, options.kills, folder)


if __name__ == "__main__":
    main()

"""What the debugger costs at 100,000 frames: the first stop, any step either way, and memory.

    python benchmarks/debugger.py [--frames 100000] [--steps 2000]

Seconds of the processor, which other programs on the machine hardly change; the bounds are those the
documentation promises.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cwm_trace import Limits, trace_execution, write_trace
from cwm_trace.debug.console import Console
from cwm_trace.debug.opening import open_console
from cwm_trace.debug.running import Opening
from cwm_trace.debug.stops import AtLine, OnWrite

PROGRAM = """\
def add(n):
    t = 0
    for i in range(n):
        t += i
    return t


def go(rounds):
    last = []
    for k in range(rounds):
        last.append(add(100))
        last = last[-5:]
    return last
"""
FIRST_STOP, STEP = 1.0, 0.05
"""Seconds that the first stop and a step may take."""
MOVES = ("step", "next", "return", "back", "rnext", "rreturn", "jump 4", "until")


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(frames: int, path: Path) -> None:
    write_trace(trace_execution(PROGRAM, call=f"go({frames})", limits=Limits(max_frames=frames)), path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.jsonl"
        recording = multiprocessing.get_context("spawn").Process(target=write, args=(options.frames, path))
        recording.start()  # elsewhere, so that its memory is not counted
        recording.join()
        before = megabytes()
        consoles: list[Console] = []

        def open_and_stop() -> None:
            consoles.append(open_console(Opening(trace=str(path), predicted=False)))
            consoles[0].say("step")

        first = seconds(open_and_stop)
        (console,) = consoles
        session, track = console.session, console.session.current
        end = seconds(lambda: console.say("last"))
        count = len(track.timeline)
        print(f"{count} frames, {path.stat().st_size / 1e6:.1f} MB")
        print(f"first stop, the file read    {first:8.3f} s    bound {FIRST_STOP} s")
        print(f"to the end, all indexed      {end:8.3f} s")
        print(f"memory, all of it            {megabytes() - before:8.0f} MB")
        report_moves(console, count, options.steps, "")
        session.stops.add(AtLine(0, 4), condition="t < 0")
        session.stops.add(OnWrite("nothing"))
        console.say("first")
        looked = seconds(lambda: console.say("continue"))
        times = len(track.timeline.lines[0, 4])
        print(f"a condition, {times} times      {looked:8.3f} s    once: it is remembered")
        report_moves(console, count, options.steps, ", two stops set")


def report_moves(console: Console, count: int, steps: int, when: str) -> None:
    for move in MOVES:
        worst = max(measure(console, move, count, steps)) * 1000
        print(f"{move + when:<28} {worst:8.2f} ms   bound {STEP * 1000:.0f} ms, the slowest of {steps}")


def measure(console: Console, move: str, count: int, steps: int) -> list[float]:
    """Seconds of a move and of what is shown after it, from random frames and the outermost ones."""
    choose = random.Random(0)
    track = console.session.current
    found = []
    for number in range(steps):
        console.session.go_to(track, choose.randrange(count) if number > 20 else number)
        found.append(seconds(lambda: console.say(move)))
    return found


if __name__ == "__main__":
    main()

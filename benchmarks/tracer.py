"""What recording costs: nanoseconds of CPU time per line event, on nine workloads, against peers in one run.

    python benchmarks/tracer.py            # all workloads
    python benchmarks/tracer.py --rounds 9 # steadier medians

The tools take turns on each workload, so that a slow minute of the machine hits all of them. `naive` is the
yardstick: `settrace`, `repr` of every local at every event, the frame as CWM text through `json.dumps`, kept
in memory; `naive file` hands each frame to the operating system as it happens, as ours do: `c file` and
`python file`, our two recorders. `c memory` and `python memory` are ours too: the `Trace` that
`trace_execution` returns, and `c frames` and `python frames` the same with its frames, which are made when
they are asked for. hunter (with an action that shows every variable), PySnooper, snoop and VizTracer
(calls with their arguments and results: it shows no lines) take part if they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import itertools
import json
import linecache
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from math import exp, log
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

from cwm_trace.storage import TraceWriter
from cwm_trace.tracer.calls import record_call
from cwm_trace.tracer.extension import IS_BUILT
from cwm_trace.tracer.recorders import Kind
from cwm_trace.tracer.session import Memory, Options

WORKLOADS = Path(__file__).parent / "workloads"
Run = Callable[[], Any]
Tool = Callable[[Run], Any]


def untraced(run: Run) -> None:
    run()


def no_op(run: Run) -> None:
    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        return trace

    under(trace, run)


def show_all(variables: Mapping[str, Any]) -> dict[str, str]:
    """Every variable as text."""
    texts = {}
    for name, value in variables.items():
        try:
            texts[name] = repr(value)
        except Exception as error:
            texts[name] = f"<unrepresentable {type(value).__name__}: {type(error).__name__}>"
    return texts


class Naive:
    """The simplest tracer that gives CWM's frames."""

    def __init__(self, keep: Callable[[str], object]) -> None:
        self._keep = keep
        self._before: dict[FrameType, dict[str, str]] = {}
        self._last: FrameType | None = None

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        filename = frame.f_code.co_filename
        if not filename.startswith(str(WORKLOADS)):
            return None
        source = linecache.getline(filename, frame.f_lineno)
        if event in ("call", "line"):
            state = show_all(frame.f_locals)
            before = self._before.get(frame, {}) if self._last is frame and event == "line" else {}
            self._before[frame] = state
            texts = {name: ".." if before.get(name) == text else text for name, text in state.items()}
            self._keep(f"<|{event}_sep|>{json.dumps(texts)}<|action_sep|>{source}<|frame_sep|>")
        else:
            value = arg[1] if event == "exception" else arg
            text = json.dumps(repr(value))
            self._keep(f"<|{event}_sep|><|action_sep|>{source}<|arg_sep|>{text}<|frame_sep|>")
            if event == "return":
                self._before.pop(frame, None)
        self._last = frame
        return self.trace


def naive(run: Run) -> None:
    frames: list[str] = []
    under(Naive(frames.append).trace, run)


def naive_to_file(run: Run) -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        under(Naive(lambda text: file.write(text.encode())).trace, run)


def under(trace: Any, run: Run) -> None:
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)


def ours_in_memory(recorder: Kind, *, ask_for_frames: bool = False) -> Tool:
    def record(run: Run) -> None:
        memory = Memory()
        record_call(run, (), {}, memory, Options(recorder=recorder))
        if ask_for_frames:
            len(memory.trace.frames)

    return record


def ours_to_file(recorder: Kind) -> Tool:
    folder, numbers = tempfile.TemporaryDirectory(), itertools.count()  # not made anew for each recording

    def record(run: Run) -> None:
        with TraceWriter(Path(folder.name) / f"{next(numbers)}.trace.jsonl") as writer:
            record_call(run, (), {}, writer, Options(recorder=recorder))

    return record


def peers() -> dict[str, Tool]:
    """Other tools that show every variable, if they are installed."""
    found: dict[str, Tool] = {}
    if importlib.util.find_spec("hunter"):
        import hunter

        class ReprAll(hunter.actions.Action):  # type: ignore[misc]
            def __call__(self, event: Any) -> None:
                lines.append(f"{event.kind} {event.lineno} {show_all(event.locals)}")

        lines: list[str] = []

        def run_hunter(run: Run) -> None:
            lines.clear()
            with hunter.trace(filename_startswith=str(WORKLOADS), action=ReprAll()):
                run()

        found["hunter"] = run_hunter
    if importlib.util.find_spec("pysnooper"):
        import pysnooper

        def run_pysnooper(run: Run) -> None:
            pysnooper.snoop(io.StringIO(), depth=100, color=False)(run)()

        found["PySnooper"] = run_pysnooper
    if importlib.util.find_spec("snoop"):
        import snoop

        config = snoop.Config(out=io.StringIO(), color=False)

        def run_snoop(run: Run) -> None:
            config.snoop(depth=100)(run)()

        found["snoop"] = run_snoop
    if importlib.util.find_spec("viztracer"):
        import viztracer

        def run_viztracer(run: Run) -> None:
            tracer = viztracer.VizTracer(verbose=0, log_func_args=True, log_func_retval=True)
            tracer.start()
            run()
            tracer.stop()

        found["VizTracer"] = run_viztracer
    return found


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def line_events(run: Run) -> int:
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(str(WORKLOADS)):
            return None
        count += event == "line"
        return trace

    under(trace, run)
    return count


def measure(tools: dict[str, Tool], run: Run, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each tool; the tools take turns."""
    times: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(rounds):
        for name, tool in tools.items():
            start = time.process_time()
            tool(run)
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("workloads", nargs="*", help="names of workloads; all of them without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    known = sorted(path.stem for path in WORKLOADS.glob("*.py"))
    if unknown := [name for name in options.workloads if name not in known]:
        parser.error(f"there is no workload {unknown[0]}: take some of {', '.join(known)}")
    tools: dict[str, Tool] = {
        "untraced": untraced,
        "no-op": no_op,
        "naive": naive,
        "naive file": naive_to_file,
    }
    kinds: tuple[Kind, ...] = ("c", "python") if IS_BUILT else ("python",)
    for kind in kinds:
        tools[f"{kind} file"], tools[f"{kind} memory"] = ours_to_file(kind), ours_in_memory(kind)
        tools[f"{kind} frames"] = ours_in_memory(kind, ask_for_frames=True)
    if not options.no_peers:
        tools |= peers()
    table = Table(title=f"ns of CPU per line event, Python {sys.version.split()[0]}, {options.rounds} rounds")
    for column in ("workload", "lines", *tools):
        table.add_column(column, justify="left" if column == "workload" else "right")
    ratios: dict[str, list[float]] = {name: [] for name in tools}
    for path in sorted(WORKLOADS.glob("*.py")):
        if options.workloads and path.stem not in options.workloads:
            continue
        run = load(path).run
        lines = line_events(run)
        times = measure(tools, run, options.rounds)
        for name in tools:
            ratios[name].append(times[name] / times["naive"])
        table.add_row(path.stem, str(lines), *(f"{times[name] / lines * 1e9:,.0f}" for name in tools))
    means = [f"{exp(statistics.mean(map(log, ratios[name]))):.2f}" for name in tools]
    table.add_row("geometric mean over naive", "", *means)
    Console(width=170).print(table)


if __name__ == "__main__":
    main()

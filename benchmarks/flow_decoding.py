"""What the grammar's levels cost and save our engine: `python benchmarks/flow_decoding.py [--programs 8]`.

Of the first programs of `core`, and of CRUXEval if `CWM_TRACE_CRUXEVAL` names its file:

- tokens of true frames that are forced, by level and part of the frame, with the tokenizer of cwm-mini;
- forced prediction: passes through the model for each frame under the three levels, with cwm-mini and with a
  model of the same shape and random weights;
- free decoding, with no truth at hand: frames a second at batch 1 and 16, level against level in one run, the
  levels in turn; seconds are processor time. The same programs, each cut after `--frames` frames; a level
  that goes wrong earlier writes other frames, so that the rate and not the time is compared;
- where the time of these frames goes at batch 1, and what a pass of so many tokens takes.

Both run in NumPy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cwm_trace import Trace
from cwm_trace.eval.benchmark.tasks import find_tasks
from cwm_trace.eval.benchmark.truth import Truth, find_truth, start_of
from cwm_trace.flow import Flow, analyse
from cwm_trace.model.light.decoder import LightDecoder
from cwm_trace.model.light.weights import read_arrays
from cwm_trace.model.predict import engine
from cwm_trace.model.predict.decoders.choosing import load_decoder
from cwm_trace.model.predict.decoders.numpy import NumpyDecoder
from cwm_trace.model.predict.grammar import FrameGrammar
from cwm_trace.model.predict.guide import read_program
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.model.predict.rollout import Rollout
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.model.safetensors_files import read_headers
from cwm_trace.model.tokens import read_tokens
from cwm_trace.predict.protocol import Predictor, Request, predict_all
from cwm_trace.predict.registry import MINI_FRAME_TOKENS, MINI_TEXT_TOKENS, find_mini, find_predictor
from cwm_trace.records import GRAMMARS, Decoding
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.render import main_thread
from cwm_trace.wire.tokens import TraceTokens

FIELDS = ("event", "locals", "source", "value")
TABLES = ("tokens", "forced", "free", "profile")
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=8, help="of each task")
    parser.add_argument("--frames", type=int, default=40, help="of a program, when decoding is free")
    parser.add_argument("--models", nargs="+", choices=("mini", "random"), default=["mini", "random"])
    parser.add_argument("--only", choices=TABLES, help="one of the tables")
    options = parser.parse_args()
    tokens = read_tokens(find_mini())
    tasks = {name: find_traces(name, options.programs) for name in task_names()}
    wanted = (options.only,) if options.only else TABLES
    if "tokens" in wanted:
        print_forced_tokens(tasks, tokens)
    if wanted == ("tokens",):
        return
    models = {name: {level: find_engine(name, level) for level in GRAMMARS} for name in options.models}
    if "forced" in wanted:
        print_passes(tasks, models)
    if "free" in wanted:
        print_free(tasks["core"], models, options.frames)
    if "profile" in wanted:
        print_profile(tasks["core"], models, options.frames)


def task_names() -> list[str]:
    path = os.environ.get("CWM_TRACE_CRUXEVAL")
    return ["core"] + ([f"cruxeval:{path}"] if path else [])


def find_traces(task: str, limit: int) -> list[Trace]:
    (found,) = find_tasks([task], limit=limit)
    return [truth.trace for case in found.cases if isinstance(truth := find_truth(case), Truth)]


def find_engine(name: str, level: str) -> Predictor:
    decoding = Decoding(grammar=level, max_text_tokens=MINI_TEXT_TOKENS, max_frame_tokens=MINI_FRAME_TOKENS)
    if name == "mini":
        return find_predictor("mini", decoding)
    folder = find_mini()
    decoder = load_decoder(folder, "numpy", "")
    assert isinstance(decoder, NumpyDecoder)
    config = decoder.decoder.config
    arrays = read_arrays(read_headers(folder), config.tensor_shapes())
    draw = np.random.default_rng(0)
    drawn = {
        name: draw.normal(0, 0.02, array.shape).astype(np.float32) if array.ndim > 1 else np.ones_like(array)
        for name, array in arrays.items()
    }
    return LocalPredictor(NumpyDecoder(LightDecoder(config, drawn)), read_tokens(folder), decoding=decoding)


def print_forced_tokens(tasks: dict[str, list[Trace]], tokens: TraceTokens) -> None:
    print("(a) tokens of true frames that need no model\n")
    print("| task | frames | level | tokens | forced | " + " | ".join(FIELDS) + " | choices a frame |")
    print("|---|--:|---|--:|--:|" + "--:|" * (len(FIELDS) + 1))
    vocabulary = Vocabulary(tokens, max(tokens.ids.values()) + 1)
    for task, traces in tasks.items():
        for level in GRAMMARS[1:]:
            frames, seen, forced = 0, Counter[str](), Counter[str]()
            for trace in traces:
                flow = Flow(analyse(trace)) if level == "flow" else None
                reading = read_program(replace(trace, frames=()), flow, CWM)
                grammar = FrameGrammar(trace, CWM, tokens, vocabulary)
                for frame in main_thread(trace):
                    frames += 1
                    state = grammar.start(reading.opening)
                    for number in tokens.encode_pieces(reading.push(frame)):
                        if not state.allows(number):
                            break
                        seen[state.field] += 1
                        forced[state.field] += state.legal.ids == (number,)
                        state.take(number)
            shares = " | ".join(f"{forced[field] / max(seen[field], 1):.0%}" for field in FIELDS)
            total, free = seen.total(), seen.total() - forced.total()
            print(
                f"| {task.partition(':')[0]} | {frames:,} | {level} | {total:,} | "
                f"{forced.total() / total:.0%} | {shares} | {free / frames:.1f} |"
            )


def print_passes(tasks: dict[str, list[Trace]], models: dict[str, dict[str, Predictor]]) -> None:
    print("\n(b) forced prediction: passes through the model, predicted tokens and seconds a frame\n")
    print("| task | model | " + " | ".join(GRAMMARS) + " |")
    print("|---|---|" + "--:|" * len(GRAMMARS))
    for task, traces in tasks.items():
        for name, engines in models.items():
            cells = []
            for predictor in engines.values():
                passes = frames = written = 0
                seconds = 0.0
                for trace in traces:
                    request = Request(start_of(trace), "forced", trace)
                    cost = predictor.predict(request).guess.cost
                    assert cost is not None
                    passes += cost.forward_passes
                    written += cost.new_tokens - cost.free_tokens
                    seconds += cost.seconds
                    frames += len(main_thread(trace)) - 1
                cells.append(f"{passes / frames:.2f}, {written / frames:.1f}, {seconds / frames:.4f}")
            print(f"| {task.partition(':')[0]} | {name} | {' | '.join(cells)} |", flush=True)


def print_free(traces: Sequence[Trace], models: dict[str, dict[str, Predictor]], most: int) -> None:
    levels = GRAMMARS[1:]
    print(f"\n(c) free decoding of up to {most} frames, no truth at hand: frames a second (passes a frame)\n")
    print("| model | batch | " + " | ".join(levels) + " | flow / frame |")
    print("|---|--:|" + "--:|" * (len(levels) + 1))
    requests = [Request(start_of(trace), "free", max_frames=most) for trace in traces]
    sixteen = (requests * 16)[:16]
    for name, every in models.items():
        engines = {level: every[level] for level in levels}
        for batch in (1, 16):
            rates: dict[str, list[float]] = {level: [] for level in levels}
            passes: dict[str, float] = {}
            for _ in range(REPEATS):
                for level, predictor in engines.items():
                    begun = time.process_time()
                    if batch == 1:
                        done = [predictor.predict(request) for request in requests]
                    else:
                        done = [trace for _, trace in predict_all(predictor, sixteen)]
                    spent = time.process_time() - begun
                    frames = sum(len(trace.frames) - 1 for trace in done)
                    rates[level].append(frames / spent)
                    costs = [
                        trace.guess.cost.forward_passes for trace in done if trace.guess.cost is not None
                    ]
                    passes[level] = sum(costs) / frames
            middle = {level: statistics.median(found) for level, found in rates.items()}
            cells = " | ".join(f"{middle[level]:.1f} ({passes[level]:.2f})" for level in levels)
            print(f"| {name} | {batch} | {cells} | {middle['flow'] / middle['frame']:.2f} |", flush=True)


def print_profile(traces: Sequence[Trace], models: dict[str, dict[str, Predictor]], most: int) -> None:
    """Where the processor's time goes: the parts are timed from outside, and run as they are."""
    print(f"\n(d) a frame of free decoding, batch 1, up to {most} frames: milliseconds, and tokens read")
    spent, fed = defaultdict[str, float](float), Counter[str]()
    decoder = load_decoder(find_mini(), "numpy", "")
    text, chooser = type(decoder.text()), type(decoder.chooser(None))
    parts = ((text, "feed"), (chooser, "choose"), (engine, "_check_draft"), (Rollout, "take"))
    originals = [getattr(owner, name) for owner, name in parts]
    for (owner, name), original in zip(parts, originals, strict=True):
        setattr(owner, name, timed(original, name, spent, fed))
    requests = [Request(start_of(trace), "free", max_frames=most) for trace in traces]
    for name, every in models.items():
        for level in GRAMMARS[1:]:
            every[level].predict(requests[0])
            spent.clear()
            fed.clear()
            begun = time.process_time()
            done = [every[level].predict(request) for request in requests]
            whole = time.process_time() - begun
            frames = sum(len(trace.frames) - 1 for trace in done)
            shares = ", ".join(f"{part} {1e3 * seconds / frames:.2f}" for part, seconds in spent.items())
            reads = f"{fed['passes'] / frames:.2f} passes, {fed['tokens'] / frames:.1f} tokens"
            print(f"{name}, {level}: {1e3 * whole / frames:.2f}, of which {shares}; {reads}", flush=True)
    for (owner, name), original in zip(parts, originals, strict=True):
        setattr(owner, name, original)
    for length in (300, 1_000):
        lane = decoder.text()
        lane.feed([[1] * length], [])
        lane.accept([length])
        costs = []
        for count in (1, 4, 16, 32, 64):
            times = []
            for _ in range(20):
                begun = time.process_time()
                lane.feed([[1] * count], [(0, count - 1)])
                times.append(time.process_time() - begun)
                lane.accept([0])
            costs.append(f"{count}: {1e3 * min(times):.2f}")
        print(f"a pass behind {length:,} tokens, milliseconds by its tokens: {', '.join(costs)}")


def timed(
    run: Callable[..., Any], name: str, spent: dict[str, float], fed: Counter[str]
) -> Callable[..., Any]:
    def measured(*arguments: Any, **named: Any) -> Any:
        if name == "feed":
            fed["passes"] += 1
            fed["tokens"] += sum(map(len, arguments[1]))
        begun = time.process_time()
        try:
            return run(*arguments, **named)
        finally:
            spent[name] += time.process_time() - begun

    return measured


if __name__ == "__main__":
    main()

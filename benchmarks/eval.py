"""Frames compared per second, on one core: `python benchmarks/eval.py`.

The real executions are those of a few programs with long traces, and of CRUXEval's short ones if
`CWM_TRACE_CRUXEVAL` names the file. Predictions are the oracle's and the copy baseline's; they went through
`pickle`, so that no frame of a prediction is the very object it is compared with. Everything that a program's
score holds is computed, but for local steps, which run programs. `first` is the first time that a program is
seen, with its control-flow graph still to be computed; the other figures are the best of five.
"""

from __future__ import annotations

import argparse
import os
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace

from cwm_trace import Trace, trace_execution
from cwm_trace.datasets.loaders.cruxeval import load_cruxeval
from cwm_trace.eval.comparison.branches import branch_lines
from cwm_trace.eval.comparison.score import score_program
from cwm_trace.eval.statistics.summary import summarise
from cwm_trace.predict.baselines import BASELINES
from cwm_trace.predict.protocol import Request

MODES = ("free", "forced", "forced-event", "forced-state", "reground-8", "output", "step-over")
SOURCE = """\
def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)

def sort(xs):
    xs = list(xs)
    for i in range(len(xs)):
        for j in range(len(xs) - 1 - i):
            if xs[j] > xs[j + 1]:
                xs[j], xs[j + 1] = xs[j + 1], xs[j]
    return xs

def primes(limit):
    found = []
    for n in range(2, limit):
        if all(n % p for p in found):
            found.append(n)
    return found

def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps

def words(text):
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items())
"""
CALLS = ("fib(14)", "sort([7, 3, 9, 1, 8, 2] * 8)", "primes(80)", "collatz(97)", "words('a b c a b ' * 100)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    sets = {"long": [trace_execution(SOURCE, call=call) for call in CALLS]}
    path = os.environ.get("CWM_TRACE_CRUXEVAL")
    if path:
        sets["CRUXEval"] = [
            trace_execution(i.code, call=i.call, capture_output=True) for i in load_cruxeval(path)
        ]
    print("traces     predictor  mode          frames     first  frames/s")
    for name, traces in sets.items():
        for predictor in ("oracle", "copy"):
            for mode in MODES:
                pairs = [(trace, predict(predictor, mode, trace)) for trace in traces]
                frames = sum(max(len(real.frames), len(said.frames)) for real, said in pairs)
                branch_lines.cache_clear()
                first = seconds(pairs)
                best = min(seconds(pairs) for _ in range(arguments.repeat))
                speeds = f"{frames / first:9,.0f} {frames / best:9,.0f}"
                print(f"{name:10} {predictor:10} {mode:12} {frames:7,} {speeds}")
    scores = [score_program(real, said) for real, said in pairs] * max(1, 1000 // len(pairs))
    start = time.perf_counter()
    summarise(scores)
    print(f"summary of {len(scores):,} programs, 10,000 resamples: {time.perf_counter() - start:.1f} s")


def predict(name: str, mode: str, trace: Trace) -> Trace:
    start = replace(trace, frames=trace.frames[:1])
    said: Trace = pickle.loads(pickle.dumps(BASELINES[name]().predict(Request(start, mode, trace))))
    return said


def seconds(pairs: Sequence[tuple[Trace, Trace]]) -> float:
    start = time.process_time()
    for real, said in pairs:
        score_program(real, said)
    return time.process_time() - start


if __name__ == "__main__":
    main()

"""A small model on NumPy, on PyTorch and in transformers: frames a second, and what a start costs.

    python benchmarks/light.py [CHECKPOINT] [--tables free forced start] [--repeats 5] [--tokens 256]

Without a CHECKPOINT the bundled model. All sides use one thread and take turns; times are processor seconds,
which other work on the machine disturbs least, and of several turns the best one counts. `generate` is
`transformers.generate` of the same prompts; it knows no grammar, so free decoding has none. The engine is
timed with drafts, as it is used, and without, where it takes a pass for every token as `generate` does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoModelForCausalLM

from cwm_trace import render_prompt, trace_execution
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.model.tokens import read_tokens
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.registry import find_mini
from cwm_trace.records import Decoding, Trace
from cwm_trace.wire.tokens import Special

ENGINES = ("numpy", "torch")
TABLES = ("free", "forced", "start")
SOURCE = """\
def collect(limit):
    total, seen = 0, []
    for number in range(limit):
        if number % 3 == 0:
            seen.append(number)
        else:
            total += number
        seen = seen[-3:]
    return total, seen
"""
FRAMES = 100
PREDICT = """
import sys
from cwm_trace import predict_execution
from cwm_trace.predict.registry import find_predictor
from cwm_trace.records import Decoding
model = find_predictor(sys.argv[1], Decoding(engine=sys.argv[2], dtype="float32"))
predict_execution(sys.argv[3], call="f(2)", model=model, max_frames=1)
"""
GENERATE = """
import os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
ids = AutoTokenizer.from_pretrained(sys.argv[1])(sys.argv[2], return_tensors="pt").input_ids
model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
"""


def record(limit: int) -> Trace:
    return trace_execution(SOURCE, call=f"collect({limit})")


def best_in_turns(sides: dict[str, Callable[[], int]], repeats: int) -> dict[str, float]:
    """What each side does in a second, at best, after a turn of each that does not count."""
    best = dict.fromkeys(sides, 0.0)
    for turn in range(repeats + 1):
        for name, work in sides.items():
            start = time.process_time()
            done = work()
            if turn:
                best[name] = max(best[name], done / (time.process_time() - start))
    return best


class Sides:
    """The same checkpoint three times."""

    def __init__(self, folder: Path, tokens: int) -> None:
        self.folder, self.new_tokens = folder, tokens
        self.tokens = read_tokens(folder)
        self.hf: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
        self.hf.train(False)

    def engine(self, engine: str, **options: Any) -> LocalPredictor:
        decoding = Decoding(engine=engine, dtype="float32", **options)
        return LocalPredictor.load(self.folder, decoding=decoding)

    def free(self, engine: str, starts: Sequence[Trace], *, drafts: bool) -> Callable[[], int]:
        options = {"max_new_tokens": self.new_tokens, "max_frame_tokens": self.new_tokens}
        predictor = self.engine(engine, grammar="none", drafts=drafts, **options)
        requests = [Request(start) for start in starts]

        def work() -> int:
            if len(requests) == 1:
                return len(predictor.predict(requests[0]).frames) - 1
            return sum(len(trace.frames) - 1 for _, trace in predictor.predict_all(requests))

        return work

    def generate(self, starts: Sequence[Trace]) -> Callable[[], int]:
        prompts = [render_prompt(start, given=1, tokens=self.tokens) for start in starts]
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        end = self.tokens.ids[Special.END]

        def work() -> int:
            out = self.hf.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=self.new_tokens,
                do_sample=False,
                eos_token_id=end,
                pad_token_id=0,
            )
            return int((out[:, width:] == self.tokens.ids[Special.FRAME]).sum())

        return work

    def forced(self, engine: str, trace: Trace, grammar: str) -> Callable[[], int]:
        predictor = self.engine(engine, grammar=grammar, max_frame_tokens=384, max_text_tokens=128)
        request = Request(replace(trace, frames=trace.frames[:1]), "forced", trace)
        return lambda: len(predictor.predict(request).frames) - 1


def table(head: str, names: Sequence[str], rows: Iterable[tuple[str, dict[str, float]]]) -> None:
    """Print rows as they come."""
    print(f"\n{head}\n\n| | {' | '.join(names)} |\n|---|{'--:|' * len(names)}", flush=True)
    for what, found in rows:
        cells = (f"{found[name]:,.1f}" if name in found else "" for name in names)
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


def start_cost(script: str, *arguments: str) -> dict[str, float]:
    """Processor seconds and peak MiB of a process of its own."""
    said = "\nprint(open('/proc/self/status').read())"  # rusage would count what this process has taken
    command = [sys.executable, "-c", script + said, *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"CPU seconds": seconds, "peak MiB": int(status.split("VmHWM:")[1].split()[0]) / 1024}


def free_rows(sides: Sides, batches: Sequence[int], repeats: int) -> Iterator[tuple[str, dict[str, float]]]:
    for batch in batches:
        starts = [replace(trace, frames=trace.frames[:1]) for trace in map(record, range(20, 20 + batch))]
        for drafts in (True, False):
            works = {engine: sides.free(engine, starts, drafts=drafts) for engine in ENGINES}
            if not drafts:
                works["generate"] = sides.generate(starts)
            how = "drafts" if drafts else "a pass for every token"
            yield f"batch {batch}, {how}", best_in_turns(works, repeats)


def forced_rows(sides: Sides, repeats: int) -> Iterator[tuple[str, dict[str, float]]]:
    trace = record(40)
    trace = replace(trace, frames=trace.frames[:FRAMES])
    for grammar in ("none", "frame", "flow"):
        works = {engine: sides.forced(engine, trace, grammar) for engine in ENGINES}
        yield f"grammar {grammar}", best_in_turns(works, repeats)


def start_rows(folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    source = "def f(n):\n    m = n + 1\n    return m\n"
    for engine in ENGINES:
        yield engine, start_cost(PREDICT, str(folder), engine, source)
    yield "generate", start_cost(GENERATE, str(folder), source)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", nargs="?", type=Path, default=find_mini())
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    folder: Path = options.checkpoint.resolve()
    if "start" in options.tables:
        head = "a process that predicts one frame (generate: 8 tokens)"
        table(head, ("CPU seconds", "peak MiB"), start_rows(folder))
    torch.set_num_threads(1)
    sides = Sides(folder, options.tokens)
    if "free" in options.tables:
        head = f"free, {options.tokens} tokens of each text, no grammar: frames a second"
        table(head, (*ENGINES, "generate"), free_rows(sides, options.batches, options.repeats))
    if "forced" in options.tables:
        head = f"forced, a true trace of {FRAMES} frames: frames a second"
        table(head, ENGINES, forced_rows(sides, options.repeats))


if __name__ == "__main__":
    main()

"""Predicting a trace frame by frame: the trace engine against its peers, in one run.

    python benchmarks/predict.py [CHECKPOINT] [--frames 20 100 500] [--threads 2] [--plot FILE]

Without a CHECKPOINT a model of 5 M parameters with random weights is made, together with a tokenizer. Random
weights never agree with a true trace, so drafts are worth nothing to them: the figures are a lower bound for
ours. Every peer writes at most TOKENS tokens per frame, greedily and without a grammar.

Peers: `re-prompt` gives the whole history to `transformers.generate` again for every frame (of long traces
every 25th frame is timed); `cached` is `transformers.generate` over one growing cache; `vLLM` serves the same
checkpoint on the CPU with prefix caching, if CWM_VLLM_PYTHON names the Python of a virtual environment that
has it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoModelForCausalLM

from cwm_trace import render_prompt, render_trace, trace_execution
from cwm_trace.model.loading import load_model
from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.model.tokenizer import build_tokenizer, load_tokenizer, save_tokenizer
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Decoding, Trace
from cwm_trace.wire.tokens import Special, TraceTokens

TOKENS = 24
SAMPLED_EVERY = 25
NEW_TOKENS = 256
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


def record(frames: int) -> Trace:
    """A real trace of at least so many frames, cut there."""
    trace = trace_execution(SOURCE, call=f"collect({frames})")
    return replace(trace, frames=trace.frames[:frames])


def make_checkpoint(folder: Path) -> Path:
    """Random weights, 5 M parameters, 1,024 tokens."""
    text = render_trace(record(200)) + "\n".join(Path(path).read_text() for path in (__file__, os.__file__))
    tokenizer = build_tokenizer([text], 1_024)
    torch.manual_seed(0)
    config = CwmConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        sliding_window=2_048,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = CwmForCausalLM(config)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Peers:
    """The same checkpoint under everybody's loop."""

    def __init__(self, folder: Path) -> None:
        self.tokens = TraceTokens.from_tokenizer(load_tokenizer(folder))
        self.hf: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.hf.train(False)
        model: Any = load_model(folder, dtype="float32")
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.predictor = self.ours(model)
        self.model = model

    def ours(self, model: Any, **options: Any) -> LocalPredictor:
        decoding = Decoding(**{"grammar": "none", "max_frame_tokens": TOKENS, **options})
        return LocalPredictor(model, self.tokens, decoding=decoding)

    def prompts(self, trace: Trace) -> list[list[int]]:
        return [
            render_prompt(trace, given=count, tokens=self.tokens) for count in range(1, len(trace.frames))
        ]

    def generate(self, ids: Sequence[int], cache: Any = None, new: int = TOKENS) -> int:
        stops = [self.tokens.ids[Special.FRAME], self.tokens.ids[Special.END]]
        text = torch.tensor([ids])
        out = self.hf.generate(
            text,
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=0,
            past_key_values=cache,
        )
        return int(out.shape[1] - text.shape[1])

    def re_prompt(self, trace: Trace) -> float:
        prompts = self.prompts(trace)
        step = SAMPLED_EVERY if len(prompts) > 200 else 1
        timed = [seconds(lambda ids=ids: self.generate(ids)) for ids in prompts[::step]]  # type: ignore[misc]
        return statistics.fmean(timed) * len(prompts)

    def cached(self, trace: Trace) -> float:
        from transformers import DynamicCache

        prompts = self.prompts(trace)

        def work() -> None:
            cache = DynamicCache()
            for ids in prompts:
                self.generate(ids, cache)
                if (extra := cache.get_seq_length() - (len(ids) - 1)) > 0:
                    cache.crop(-extra)  # so many tokens are taken back

        return seconds(work)

    def engine(self, trace: Trace, **options: Any) -> tuple[float, int]:
        predictor = self.ours(self.model, **options)
        start = replace(trace, frames=trace.frames[:1])
        spent = predictor.predict(Request(start, "forced", trace)).guess.cost
        assert spent is not None
        return spent.seconds, spent.forward_passes


def vllm_peer(folder: Path) -> Any:
    """A context with a vLLM server, or None."""
    python = os.environ.get("CWM_VLLM_PYTHON")
    if not python:
        return None
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.model.vllm_server import serve

    return serve(python, folder, folder / "vllm.log")


def forced_table(peers: Peers, lengths: Sequence[int], server: Any) -> list[tuple[int, float]]:
    print("\n(a) forced: seconds for a trace, and the ratio to ours\n")
    print(
        "| frames | re-prompt | cached | vLLM | **ours** | re-prompt / ours | cached / ours | vLLM / ours |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    flat = []
    for length in lengths:
        trace = record(length)
        peers.engine(trace)  # warm-up
        ours = statistics.median(peers.engine(trace)[0] for _ in range(3))
        again, cached = peers.re_prompt(trace), peers.cached(trace)
        served = "n/a", "n/a"
        if server is not None:
            prompts = peers.prompts(trace)
            stops = [peers.tokens.ids[Special.FRAME], peers.tokens.ids[Special.END]]
            start = time.perf_counter()
            for at in range(0, len(prompts), 64):
                server.complete(prompts[at : at + 64], TOKENS, stop_token_ids=stops)
            spent = time.perf_counter() - start
            served = f"{spent:.2f}", f"{spent / ours:.1f}"
        print(
            f"| {length} | {again:.2f} | {cached:.2f} | {served[0]} | **{ours:.2f}** | {again / ours:.1f}"
            f" | {cached / ours:.1f} | {served[1]} |"
        )
        flat.append((length, 1000 * ours / (length - 1)))
    return flat


def free_table(peers: Peers, server: Any) -> None:
    print(f"\n(b) free decoding of {NEW_TOKENS} tokens: tokens per second\n")
    print("| batch | transformers.generate | vLLM | **ours** | ours / transformers |")
    print("|--:|--:|--:|--:|--:|")
    trace = record(20)
    start = replace(trace, frames=trace.frames[:1])
    ids = render_prompt(start, tokens=peers.tokens)
    options = {"max_new_tokens": NEW_TOKENS, "max_frame_tokens": NEW_TOKENS}
    predictor = peers.ours(peers.model, **options)
    for batch in (1, 16):
        requests = [Request(start)] * batch
        made = 0

        def ours(requests: list[Request] = requests) -> None:
            nonlocal made
            if len(requests) == 1:
                traces = [predictor.predict(requests[0])]
            else:
                traces = [done for _, done in predictor.predict_all(requests)]
            made = sum(done.guess.cost.new_tokens for done in traces if done.guess.cost is not None)

        def theirs(batch: int = batch) -> None:
            text = torch.tensor([ids] * batch)
            peers.hf.generate(
                text, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None, pad_token_id=0
            )

        ours()
        fast = statistics.median(made / seconds(ours) for _ in range(3))
        slow = statistics.median(batch * NEW_TOKENS / seconds(theirs) for _ in range(3))
        served = "n/a"
        if server is not None:
            spent = seconds(lambda batch=batch: server.complete([ids] * batch, NEW_TOKENS, ignore_eos=True))  # type: ignore[misc]
            served = f"{batch * NEW_TOKENS / spent:,.0f}"
        print(f"| {batch} | {slow:,.0f} | {served} | **{fast:,.0f}** | {fast / slow:.1f} |")


def passes_table(peers: Peers) -> None:
    print("\n(c) forced, 100 frames: forward passes per frame\n")
    print("| grammar | drafts | passes per frame | seconds |")
    print("|---|---|--:|--:|")
    trace = record(100)
    levels = {False: "none", True: "frame"}
    for constrained in (False, True):
        for drafts in (False, True):
            bound = 8 if constrained else None
            spent, passes = peers.engine(
                trace, grammar=levels[constrained], drafts=drafts, max_text_tokens=bound
            )
            said = ["no", "yes"]
            print(f"| {said[constrained]} | {said[drafts]} | {passes / 99:.2f} | {spent:.2f} |")


def plot(flat: Sequence[tuple[int, float]], path: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3))
    axes.plot([length for length, _ in flat], [cost for _, cost in flat], marker="o")
    axes.set(xlabel="frames of the trace", ylabel="milliseconds per frame", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("--frames", type=int, nargs="+", default=[20, 100, 500])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", help="draw milliseconds per frame against the length of the trace")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.checkpoint or make_checkpoint(Path(temporary)))
        peers = Peers(folder)
        print(f"{peers.parameters:,} parameters, float32, {options.threads} threads, {TOKENS} tokens a frame")
        context = vllm_peer(folder)
        server = context.__enter__() if context is not None else None
        try:
            flat = forced_table(peers, options.frames, server)
            free_table(peers, server)
        finally:
            if context is not None:
                context.__exit__(None, None, None)
        passes_table(peers)
    for length, cost in flat:
        print(f"{length} frames: {cost:.1f} ms per frame")
    if options.plot:
        plot(flat, options.plot)


if __name__ == "__main__":
    main()

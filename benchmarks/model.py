"""Time our model, decode loop and branches against transformers' own class: same weights, dtype and threads.

    python benchmarks/model.py [--threads 1] [--repeats 7] [--json out.json]

Both sides of a row take turns, so that whatever else the machine does slows down both; a row shows the best
time of each side, their ratio, and the ratio of the medians. Everything runs on the CPU in float32.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import transformers
from transformers import CwmForCausalLM as Theirs

from cwm_trace.model.attention import attend, merge, plan_intervals
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import decode_one_token, generate, prefill
from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM

Work = Callable[[], object]


@dataclass
class Row:
    """Best seconds of each side over all repeats, and medians."""

    name: str
    ours: float
    theirs: float
    ours_median: float
    theirs_median: float
    wanted: float
    """Ratio this project promises."""

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs / self.ours


def compare(name: str, ours: Work, theirs: Work, repeats: int, wanted: float) -> Row:
    """Time two sides in turns, after one call of each that does not count."""
    ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for side, work in enumerate((ours, theirs)):
            start = time.perf_counter()
            work()
            times[side].append(time.perf_counter() - start)
    best, middle = [min(side) for side in times], [statistics.median(side) for side in times]
    row = Row(name, best[0], best[1], middle[0], middle[1], wanted)
    print(
        f"{row.name:<52}{row.ours * 1e3:>10.1f}{row.theirs * 1e3:>10.1f}{row.ratio:>8.2f}"
        f"{row.theirs_median / row.ours_median:>9.2f}{row.wanted:>8.1f}",
        flush=True,
    )
    return row


def five_million() -> CwmConfig:
    """A model of 5.2 M parameters with CWM's shape: windows in two layers of three, llama3 RoPE."""
    return CwmConfig(
        vocab_size=1024,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        sliding_window=256,
        max_position_embeddings=16_384,
        bos_token_id=0,
        eos_token_id=[1],
        pad_token_id=2,
    )


def training_rows(ours: Any, theirs: Any, repeats: int) -> list[Row]:
    """Forward, forward with backward, of one text of 512 tokens; forward of a long one."""
    ids = torch.randint(3, 1024, (1, 512))
    long = torch.randint(3, 1024, (1, 4096))

    def forward(model: Any, ids: torch.Tensor) -> Work:
        def run() -> None:
            with torch.no_grad():
                model(ids, use_cache=False)

        return run

    def backward(model: Any) -> Work:
        def run() -> None:
            model(ids, labels=ids, use_cache=False).loss.backward()
            model.zero_grad()

        return run

    rows = []
    for attention in ("sdpa", "interval"):  # theirs is always sdpa, transformers' choice
        ours.set_attn_implementation(attention)
        rows += [
            compare(
                f"forward, 512 tokens, {attention}", forward(ours, ids), forward(theirs, ids), repeats, 1.0
            ),
            compare(f"backward, 512 tokens, {attention}", backward(ours), backward(theirs), repeats, 1.0),
        ]
    name = "forward, 4096 tokens, window 256, interval"
    rows.append(compare(name, forward(ours, long), forward(theirs, long), 3, 1.0))
    ours.set_attn_implementation("sdpa")
    return rows


def generate_rows(ours: Any, theirs: Any, repeats: int) -> list[Row]:
    """Greedy decoding of 96 tokens after prompts of 32."""
    decoder, count = Decoder(ours), 96
    rows = []
    for batch, wanted in ((1, 3.0), (16, 1.5)):
        ids = torch.randint(3, 1024, (batch, 32))
        options = {"max_new_tokens": count, "do_sample": False, "eos_token_id": None}
        want = theirs.generate(ids, **options)[:, 32:48].tolist()
        assert generate(decoder, ids.tolist(), 16, stop_ids=()) == want
        name = f"generate {count} tokens, batch {batch}, against HF generate"

        def run(ids: torch.Tensor = ids) -> object:
            return generate(decoder, ids.tolist(), count, stop_ids=())

        def reference(ids: torch.Tensor = ids, options: dict[str, Any] = options) -> object:
            return theirs.generate(ids, **options)

        rows.append(compare(name, run, reference, repeats, wanted))
    return rows


def branch_rows(ours: Any, repeats: int) -> list[Row]:
    """Branches over a prefix of 2048 tokens against SDPA over 128 copies of it: one layer, and the model."""
    length, branches = 2048, 128
    rows = []
    with torch.inference_mode():
        for heads, kv_heads, dim in ((4, 2, 64), (12, 2, 128)):
            q = torch.randn(branches, heads, dim)
            # as caches hold them: (stores, slots, kv_heads, head_dim), the slots of a head side by side
            keys, values = (torch.randn(1, kv_heads, length, dim).transpose(1, 2) for _ in range(2))
            own_keys, own_values = (
                torch.randn(branches, kv_heads, 16, dim).transpose(1, 2) for _ in range(2)
            )
            one, bounds = torch.zeros(branches, dtype=torch.int64), torch.full((branches,), length)
            shared = plan_intervals(one, one, bounds, length)
            private = plan_intervals(torch.arange(branches), one, torch.full((branches,), 16), 16)
            scale = dim**-0.5

            def branch(
                q: torch.Tensor = q,
                stores: Any = (keys, values, own_keys, own_values),
                plans: Any = (shared, private),
                scale: float = scale,
            ) -> torch.Tensor:
                left = attend(q, stores[0], stores[1], plans[0], scale)
                right = attend(q, stores[2], stores[3], plans[1], scale)
                return merge(left[0], left[1], right[0], right[1])[0]  # type: ignore[arg-type]

            copies = [
                torch.cat((x.expand(branches, -1, -1, -1), own), 1).transpose(1, 2).contiguous()
                for x, own in ((keys, own_keys), (values, own_values))
            ]

            def replicated(q: torch.Tensor = q, copies: Any = copies) -> torch.Tensor:
                attention = torch.nn.functional.scaled_dot_product_attention
                return attention(q[:, :, None], copies[0], copies[1], enable_gqa=True)[:, :, 0]

            assert float((branch() - replicated()).abs().max()) < 1e-4
            name = f"attention of {branches} branches, {heads}/{kv_heads} heads of {dim}"
            rows.append(compare(name, branch, replicated, repeats, 5.0))
            del copies
        decoder = Decoder(ours)
        ids = torch.randint(3, 1024, (1, length))
        prefix = decoder.cache(1, rings=False)
        prefill(decoder, ids, prefix)
        cache = decoder.rows(branches, prefix, [length] * branches, tokens=64)
        replica = decoder.cache(1)
        prefill(decoder, ids, replica)
        replica.keep([0] * branches)
        step = torch.full((branches,), 5)

        def one_step(cache: Any) -> Work:
            def run() -> None:
                decode_one_token(decoder, step, cache)
                cache.rollback(1)

            return run

        name = f"decode step of {branches} branches, our loop, copied prefix"
        rows.append(compare(name, one_step(cache), one_step(replica), repeats, 1.0))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", help="write the rows to this file")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    ours: Any = CwmForCausalLM(five_million())
    theirs: Any = Theirs(five_million())
    theirs.load_state_dict(ours.state_dict())
    ours.eval(), theirs.eval()
    print(
        f"{ours.num_parameters() / 1e6:.1f} M parameters, float32, {arguments.threads} thread(s), "
        f"torch {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}"
    )
    print(f"{'':<52}{'ours ms':>10}{'other ms':>10}{'ratio':>8}{'medians':>9}{'wanted':>8}")
    rows = training_rows(ours, theirs, arguments.repeats)
    rows += generate_rows(ours, theirs, arguments.repeats)
    rows += branch_rows(ours, arguments.repeats)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump([asdict(row) | {"ratio": row.ratio} for row in rows], file, indent=1)


if __name__ == "__main__":
    main()

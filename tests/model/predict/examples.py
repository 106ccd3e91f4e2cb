"""Short real traces, a tokenizer built for them, and small models: by chance, taught, or reciting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cwm_trace import render_trace, trace_execution
from cwm_trace.model.decoder import AnyCache, Decoder
from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM
from cwm_trace.model.predict.decoders.trace_decoder import TraceDecoder
from cwm_trace.model.predict.local import MAX_ROWS, LocalPredictor
from cwm_trace.model.tokenizer import build_tokenizer
from cwm_trace.records import Decoding, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import Special, TraceTokens

PROGRAMS = (
    "def f(n):\n    m = n + {0}\n    return m * 2\n",
    "def f(n):\n    if n < {0}:\n        return 'small'\n    return 'big'\n",
    "def f(n):\n    t = 0\n    for i in range(2):\n        t += n\n    return t\n",
    "def g(x):\n    return x - {0}\ndef f(n):\n    a = g(n)\n    return a\n",
    "def f(n):\n    if n < 1:\n        return n\n    return f(n - 2)\n",
    "def f(n):\n    try:\n        x = n / 0\n    except ZeroDivisionError:\n        return {0}\n",
    "def g(n):\n    yield n\ndef f(n):\n    for x in g(n):\n        n = x\n    return n\n",
    "def f(n):\n    s = 'a' * n\n    raise ValueError(s)\n",
    "def f(n):\n    xs = [x for x in (n, {0})]\n    return xs\n",
    "def f(n):\n    d = {{}}\n    d[n] = '\\n'\n    return d\n",
)
ARGUMENTS = range(1, 11)


@cache
def real_traces(count: int = 100) -> list[Trace]:
    """So many traces, the programs in turn, each with other arguments."""
    every = [(text.format(argument % 4), argument) for argument in ARGUMENTS for text in PROGRAMS]
    return [trace_execution(source, call=f"f({argument})") for source, argument in every[:count]]


def start_of(trace: Trace, given: int = 1) -> Trace:
    """The same with its first frames only."""
    return replace(trace, frames=trace.frames[:given])


def without_cost(trace: Trace) -> Trace:
    """The same, whatever it took."""
    return replace(trace, guess=replace(trace.guess, cost=None))


@cache
def tokenizer() -> Any:
    """Words of the traces."""
    return build_tokenizer([render_trace(trace) for trace in real_traces(40)], 420)


@cache
def tokens() -> TraceTokens:
    """Its mapping."""
    return TraceTokens.from_tokenizer(tokenizer())


def config(**changes: Any) -> CwmConfig:
    """Two layers, one of them with a window of 24 tokens."""
    fields: dict[str, Any] = {
        "vocab_size": len(tokenizer()) + 3,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "sliding_window": 24,
        "layer_types": ["full_attention", "sliding_attention"],
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "initializer_range": 0.2,
        "bos_token_id": tokens().ids[Special.BEGIN],
        "eos_token_id": [tokens().ids[Special.END]],
        "pad_token_id": tokenizer().pad_token_id,
    }
    return CwmConfig(**{**fields, **changes})


@cache
def random_model(seed: int = 0) -> Any:
    """A model with random weights."""
    torch.manual_seed(seed)
    return CwmForCausalLM(config()).eval()  # type: ignore[no-untyped-call]


@cache
def guessing(seed: int = 0) -> Decoder:
    """The same, ready to decode."""
    return Decoder(random_model(seed))


@cache
def taught() -> Any:
    """A model that was shown the traces for a while: it is right often, and wrong often."""
    torch.manual_seed(0)
    model: Any = CwmForCausalLM(config(initializer_range=0.05))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    texts = [torch.tensor(render_trace(trace, tokens=tokens())) for trace in real_traces(60)]
    for step in range(STEPS):
        texts_now = [texts[(6 * step + row) % len(texts)] for row in range(6)]
        ids: Tensor = torch.nn.utils.rnn.pad_sequence(texts_now, batch_first=True, padding_value=-100)
        logits = model(ids.clamp(min=0), use_cache=False).logits[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.eval()


STEPS = 60


@cache
def taught_decoder() -> Decoder:
    """The same, ready to decode."""
    return Decoder(taught())


class Reciting(Decoder):
    """A model that says a text by heart: what follows a token depends on its position only.

    Args:
        ids: the text; after its end it starts again.
        wrong: what it says instead, by the position of what it says.
    """

    def __init__(self, ids: Sequence[int], wrong: Mapping[int, int] | None = None) -> None:
        super().__init__(random_model())
        self._next = torch.tensor([*ids[1:], ids[0]])
        for position, token in (wrong or {}).items():
            self._next[position - 1] = token

    def states(self, ids: Tensor, cache: AnyCache) -> Tensor:
        """Positions, `(batch, tokens, 1)`."""
        positions = cache.positions(ids.shape[1]).expand(ids.shape[0], -1)
        cache.begin(ids.shape[1])
        cache.advance(ids.shape[1])
        return positions[..., None].float()

    def logits(self, states: Tensor) -> Tensor:
        """Much for one token, a little less for each one after it."""
        said = self._next[states[..., 0].long() % len(self._next)]
        size = self.config.vocab_size
        behind: Tensor = (torch.arange(size) - said[..., None]) % size
        return -behind.float()


def predictor(decoder: Decoder | TraceDecoder | None = None, /, **options: Any) -> LocalPredictor:
    """Of the taught model, if no other is given; names and values of up to 6 tokens, frames of up to 60."""
    profile: FormatProfile = options.pop("profile", CWM)
    max_rows: int = options.pop("max_rows", MAX_ROWS)
    if options.pop("constrained", True):
        options.setdefault("max_text_tokens", 6)
    else:
        options["grammar"] = "none"
    options.setdefault("max_frame_tokens", 60)
    decoding = Decoding(**options)
    model = decoder or taught_decoder()
    return LocalPredictor(model, tokens(), decoding=decoding, profile=profile, max_rows=max_rows)

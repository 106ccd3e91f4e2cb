"""What the engine must equal: one token after the other, each from a pass over the whole text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from cwm_trace.model.decoder import Decoder
from cwm_trace.model.predict.grammar import FrameGrammar
from cwm_trace.model.predict.guide import Opening
from cwm_trace.model.predict.rollout import pieces_of
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.records import Frame, State, Trace
from cwm_trace.states import resolve_states
from cwm_trace.wire.parse import parse_trace
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import render_prompt
from cwm_trace.wire.tokens import Special
from tests.model.predict.examples import tokens
from tests.model.predict.walks import legal_ids

IDS = tokens().ids
FRAME, END, RETURN = IDS[Special.FRAME], IDS[Special.END], IDS[Special.RETURN]
TIE = 1e-5
"""Logits closer than this may be chosen either way by two programs that add in different orders."""


def prompt(history: Trace) -> list[int]:
    """The ids of a program and its known frames."""
    return render_prompt(history, given=len(history.frames), tokens=tokens())


def next_logits(decoder: Decoder, ids: Sequence[int]) -> Tensor:
    """What follows a text, `(vocabulary,)`."""
    states = decoder.states(torch.tensor([ids]), decoder.cache(rings=False))
    return decoder.logits(states[:, -1])[0]


def write_constrained(
    decoder: Decoder, history: Trace, count: int, max_text_tokens: int | None
) -> tuple[list[int], list[float]]:
    """So many tokens, each the likeliest legal one, and the log-probability of each whole frame."""
    grammar = FrameGrammar(
        history, CWM, tokens(), Vocabulary(tokens(), decoder.config.vocab_size), max_text_tokens
    )
    reader = FrameReader(history, CWM)
    state = grammar.start(Opening(reader.legal_events))
    text, ids = prompt(history), list[int]()
    sums, total = [], 0.0
    while len(ids) < count:
        legal = legal_ids(grammar, state)
        scores = torch.log_softmax(next_logits(decoder, [*text, *ids])[legal], dim=0)
        best = int(scores.argmax())
        total += float(scores[best])
        ids.append(legal[best])
        state.take(legal[best])
        if state.is_done:
            sums.append(total)
            total = 0.0
            if legal[best] == END:
                break
            reader.read(pieces_of(state.ids, tokens())[:-1])
            state = grammar.start(Opening(reader.legal_events))
    return ids, sums


def generate(
    oracle: Any, prompts: Sequence[Sequence[int]], stops: Collection[int], most: int
) -> list[list[int]]:
    """Greedy continuations by transformers' own `generate`, up to a stop token."""
    width = max(map(len, prompts))
    pad = oracle.config.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    out = oracle.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=list(stops),
        pad_token_id=pad,
    )
    return [cut(row, stops) for row in out[:, width:].tolist()]


def cut(ids: Sequence[int], stops: Collection[int], times: int = 1) -> list[int]:
    """The ids up to the n-th stop token, which is left in."""
    for at, number in enumerate(ids, start=1):
        times -= number in stops
        if not times:
            return list(ids[:at])
    return list(ids)


def is_tie(decoder: Decoder, given: Sequence[int], ids: Sequence[int]) -> bool:
    """Whether two tokens were about as likely at some step of a greedy continuation."""
    states = decoder.states(torch.tensor([[*given, *ids]]), decoder.cache(rings=False))
    best = decoder.logits(states[0, len(given) - 1 : -1]).topk(2).values
    return bool((best[:, 0] - best[:, 1] < TIE).any())


Shown = tuple[Any, ...]


def shown(frames: Sequence[Frame]) -> list[Shown]:
    """Frames with their whole states, which do not depend on the frames that they were compared with."""
    states: Sequence[State | None] = resolve_states(frames)
    return [
        (f.event, f.line, f.source, f.activation, f.depth, f.file, f.value, f.raw, state)
        for f, state in zip(frames, states, strict=True)
    ]


def parsed(history: Trace, ids: Sequence[int]) -> Trace:
    """What the ids say."""
    return parse_trace(list(ids), program=history, tokens=tokens())

"""Walks through the grammar of a frame, and vocabularies to walk with."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from cwm_trace.model.predict.grammar import FrameGrammar, FrameState
from cwm_trace.model.predict.guide import Opening
from cwm_trace.model.predict.vocabulary import Vocabulary
from cwm_trace.records import Event, Program, SourceFile, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.tokens import Special, TraceTokens
from tests.model.predict.examples import tokens as built_tokens

JOINED = (
    '{"', "{}", '"}', '": "', '", "', 'a": "', '": "", "', 'b": "x", "a', '"b": "', '9": "', 'a"', "\\u00",
    "\\ud83d", '\\u00e9": "', 'u00e9"', '\\\\"', '\\"', "\\n", "007", 'f": "', '": "}', '""', ': "',
    '", "a": "', "..", ', "', "aa",
)  # fmt: skip
"""Tokens that lie across the joints of a frame, as a tokenizer made for other texts may have them."""


def joined_tokens() -> TraceTokens:
    """Printable characters one by one, and `JOINED`."""
    words = [*(c for c in string.printable if c.isprintable() or c == "\n"), *JOINED, "é", "<|pad|>"]
    ids = {token: len(words) + index for index, token in enumerate(Special)}
    numbers = {word: number for number, word in enumerate(words)}
    longest_first = sorted(set(words) - {"<|pad|>"}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return TraceTokens(
        ids,
        lambda text: [numbers[word] for word in pattern.findall(text)],
        lambda numbers: "".join(words[n] for n in numbers if n < len(words)),
    )


TOKENS: dict[str, Callable[[], TraceTokens]] = {
    "bytes": TraceTokens.of_bytes,
    "built": built_tokens,
    "joined": joined_tokens,
}


@cache
def vocabulary(kind: str) -> tuple[TraceTokens, Vocabulary]:
    """A tokenizer's mapping and its vocabulary, for a model with a few ids more."""
    tokens = TOKENS[kind]()
    return tokens, Vocabulary(tokens, max(tokens.ids.values()) + 4)


PROGRAM = Trace(
    Program((SourceFile("p.py", "def f(a):\n    return a\n    # never\n\n    return ab\n"),), "f", 1)
)


def grammar(
    kind: str,
    program: Trace = PROGRAM,
    profile: FormatProfile = CWM,
    max_text_tokens: int | None = None,
) -> FrameGrammar:
    """The grammar for a program."""
    tokens, words = vocabulary(kind)
    return FrameGrammar(program, profile, tokens, words, max_text_tokens)


def legal_ids(grammar: FrameGrammar, state: FrameState) -> list[int]:
    """All that may come next."""
    legal = state.legal
    if legal.ids is not None:
        return list(legal.ids)
    row = np.flatnonzero(grammar.vocabulary.allowed[legal.row])
    return [number for number in row.tolist() if number not in legal.but]


def at_locals(grammar: FrameGrammar) -> FrameState:
    """A LINE whose locals come next."""
    state = grammar.start(Opening(frozenset([Event.LINE])))
    state.take(grammar.ids[Special.LINE])
    return state


def at_value(grammar: FrameGrammar) -> FrameState:
    """A RETURN whose value comes next."""
    state = grammar.start(Opening(frozenset([Event.RETURN])))
    while state.field != "value":
        state.take(legal_ids(grammar, state)[0])
    return state


def takes(state: FrameState, ids: Sequence[int]) -> bool:
    """Write ids as long as they are legal; whether all are."""
    for number in ids:
        if not state.allows(number):
            return False
        state.take(number)
    return True


def walk(grammar: FrameGrammar, state: FrameState, choose: random.Random, most: int = 5000) -> FrameState:
    """Write legal ids by chance up to the end of the frame."""
    for _ in range(most):
        if state.is_done:
            return state
        legal = legal_ids(grammar, state)
        assert legal, ("a dead end", state.ids)
        number = choose.choice(legal)
        assert state.allows(number)
        state.take(number)
    raise AssertionError("the frame does not end")

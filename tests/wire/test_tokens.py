from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event
from cwm_trace.wire.tokens import EVENT_TOKENS, TOKEN_EVENTS, Piece, Special, TraceTokens
from tests.traces import TOKENS, plain_text

SPECIALS = set(TOKENS.ids.values())


class Characters:
    """What `from_tokenizer` uses of a Hugging Face tokenizer; its vocabulary is ASCII."""

    vocabulary: ClassVar = {chr(i): i for i in range(128)} | {
        t.value: 128_000 + i for i, t in enumerate(Special)
    }

    def get_vocab(self) -> dict[str, int]:
        return self.vocabulary

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        assert split_special_tokens
        return [self.vocabulary[character] for character in text]

    def decode(
        self, ids: Sequence[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool
    ) -> str:
        assert not skip_special_tokens
        assert not clean_up_tokenization_spaces
        if any(not 0 <= i < 2**32 for i in ids):
            raise OverflowError("as tokenizers does")
        names = {number: text for text, number in self.vocabulary.items()}
        return "".join(names.get(i, "") for i in ids)


@given(plain_text())
def test_bytes_decode_what_they_encode(text: str) -> None:
    assert TOKENS.decode(TOKENS.encode(text)) == text


@given(st.lists(st.sampled_from([t.value for t in Special]) | st.text(max_size=3)).map("".join))
def test_text_never_becomes_a_special_token(text: str) -> None:
    assert not SPECIALS & set(TOKENS.encode(text))
    assert not SPECIALS & set(TOKENS.encode_pieces([text]))


@given(st.lists(st.integers()))
def test_any_ids_decode(ids: list[int]) -> None:
    TOKENS.decode(ids).encode()
    TraceTokens.from_tokenizer(Characters()).decode(ids)


def test_pieces_keep_their_kind() -> None:
    pieces: list[Piece] = [Special.CALL, "<|call_sep|>", Special.FRAME]
    ids = TOKENS.encode_pieces(pieces)
    assert ids == [TOKENS.ids[Special.CALL], *b"<|call_sep|>", TOKENS.ids[Special.FRAME]]


def test_a_text_does_not_equal_the_token_that_it_spells() -> None:
    spelt: list[Any] = [token.value for token in Special]
    assert not set(spelt) & set(Special)


def test_every_event_has_its_token() -> None:
    assert set(EVENT_TOKENS) == set(Event)
    assert all(TOKEN_EVENTS[token] is event for event, token in EVENT_TOKENS.items())


def test_a_tokenizer_is_fitted() -> None:
    tokens = TraceTokens.from_tokenizer(Characters())
    assert tokens.ids[Special.BEGIN] == 128_000
    assert tokens.encode_pieces([Special.BEGIN, "<|"]) == [128_000, ord("<"), ord("|")]
    assert tokens.decode([97, -1, 2**40, 98]) == "ab"


def test_a_tokenizer_without_trace_tokens_is_refused() -> None:
    class Bare(Characters):
        def get_vocab(self) -> dict[str, int]:
            return {"a": 0}

    with pytest.raises(CwmTraceError, match=r"lacks the trace tokens <\|begin_of_text\|>"):
        TraceTokens.from_tokenizer(Bare())

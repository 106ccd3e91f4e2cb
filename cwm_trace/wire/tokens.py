"""The special tokens of the wire form, and the small mapping that fits them to any tokenizer."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event


class Special(enum.Enum):
    """The special tokens of a trace; their ids are the tokenizer's own.

    Not strings: a text that says `<|frame_sep|>` must not equal the token.
    """

    BEGIN = "<|begin_of_text|>"
    END = "<|end_of_text|>"
    CONTEXT = "<|trace_context_start|>"
    FRAME = "<|frame_sep|>"
    ACTION = "<|action_sep|>"
    ARG = "<|arg_sep|>"
    CALL = "<|call_sep|>"
    LINE = "<|line_sep|>"
    RETURN = "<|return_sep|>"
    EXCEPTION = "<|exception_sep|>"

    __hash__ = object.__hash__  # in C; that of `Enum` takes longer than the look-up that it is for


EVENT_TOKENS = {event: Special[event.name] for event in Event}
TOKEN_EVENTS = {token: event for event, token in EVENT_TOKENS.items()}

Piece = Special | str
"""A trace in pieces: special tokens and the ordinary text between them."""


@dataclass(frozen=True)
class TraceTokens:
    """Ids of the special tokens, and the two directions of ordinary text.

    Args:
        ids: id of each special token, all different.
        encode: text to ids, never giving one of `ids`, whatever the text says.
        decode: ids to text; total, since a model may emit any ids.
        encode_many: `encode` of each of many texts, where that is faster at once.
    """

    ids: Mapping[Special, int]
    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]
    encode_many: Callable[[Sequence[str]], list[list[int]]] | None = None

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        if self.encode_many is None or len(texts) < 2:
            return list(map(self.encode, texts))
        return self.encode_many(texts)

    @cached_property
    def specials(self) -> Mapping[int, Special]:
        """The special token of each of `ids`."""
        return {number: token for token, number in self.ids.items()}

    @cached_property
    def characters(self) -> Mapping[int, int]:
        """How many characters an id stands for, in text that is ASCII."""
        return _Characters(self.decode)

    @classmethod
    def of_bytes(cls) -> TraceTokens:
        """The smallest vocabulary: ids 0 to 255 are the bytes of UTF-8, 256 to 265 the special tokens."""
        return cls(
            ids={token: 256 + index for index, token in enumerate(Special)},
            encode=lambda text: list(text.encode("utf-8", "backslashreplace")),
            decode=lambda ids: bytes(i for i in ids if 0 <= i < 256).decode("utf-8", "replace"),
        )

    @classmethod
    def from_tokenizer(cls, tokenizer: Any) -> TraceTokens:
        """Fit a Hugging Face tokenizer.

        Raises:
            CwmTraceError: its vocabulary lacks one of the special tokens.
        """
        vocabulary = tokenizer.get_vocab()
        missing = [token.value for token in Special if token.value not in vocabulary]
        if missing:
            raise CwmTraceError(
                f"the tokenizer lacks the trace tokens {', '.join(missing)}: use one made for CWM traces"
            )

        size = max(vocabulary.values()) + 1

        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
            return ids

        def encode_many(texts: Sequence[str]) -> list[list[int]]:
            found: list[list[int]] = tokenizer(
                list(texts),
                add_special_tokens=False,
                split_special_tokens=True,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
            return found

        def decode(ids: Sequence[int]) -> str:
            known = [number for number in ids if 0 <= number < size]
            text: str = tokenizer.decode(known, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            return text

        return cls({token: vocabulary[token.value] for token in Special}, encode, decode, encode_many)

    def encode_pieces(self, pieces: Sequence[Piece]) -> list[int]:
        """Ids of special tokens by their mapping, of text by `encode`."""
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, Special):
                ids.append(self.ids[piece])
            else:
                ids.extend(self.encode(piece))
        return ids


class _Characters(dict[int, int]):
    """Decodes an id when it is asked for, once."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, number: int) -> int:
        self[number] = size = len(self._decode([number]))
        return size

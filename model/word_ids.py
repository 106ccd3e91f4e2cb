"""Ids of ASCII text word by word, for byte-level BPE tokenizers such as CWM's.

A tokenizer cuts a text into words by a regular expression, and the ids of a word depend on nothing else. The
words of traces come again and again, so their ids are kept; what remains for a text is to find its words.
Python's `re` does that with the tokenizer's own expression: for ASCII text both mean the same by it, as long
as it is made of what `_for_ascii` knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import chain
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

_MOST_WORDS = 100_000
"""Words whose ids are kept."""

_LETTERS = {"L": "A-Za-z", "N": "0-9", "M": ""}
"""What is ASCII of a general category of Unicode."""

_PARTS = re.compile(
    r"\\p\{(?P<category>\w+)\}|(?P<escape>\\[sSdDwWnrtb])|(?P<literal>\\[^\w])|(?P<open>\[\^?)|(?P<close>\])"
    r"|(?P<group>\((?:\?[:!=]|\?i:))|(?P<other>[\\.^$(])|(?P<plain>.)",
    re.DOTALL,
)


def word_encoder(backend: Tokenizer) -> Callable[[str], list[int] | None]:
    """Give what encodes a text as `backend` does without special tokens; None for a text that it cannot.

    That is text which is not ASCII, and every text if the tokenizer is of another make.
    """
    pattern = _pattern_of(backend)
    if pattern is None:
        return lambda _: None
    ids = _Words(backend).__getitem__
    find = pattern.findall

    def encode(text: str) -> list[int] | None:
        if not text.isascii():
            return None
        words = find(text)
        if sum(map(len, words)) != len(text):  # what lies between words is one as well
            return None
        return list(chain.from_iterable(map(ids, words)))

    return encode


class _Words(dict[str, tuple[int, ...]]):
    """The ids of words, found when they are asked for."""

    def __init__(self, backend: Tokenizer) -> None:
        super().__init__()
        self._model = backend.model
        self._bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= _MOST_WORDS:
            self.clear()
        spelt = "".join(part for part, _ in self._bytes.pre_tokenize_str(word))
        self[word] = ids = tuple(token.id for token in self._model.tokenize(spelt))
        return ids


def _pattern_of(backend: Tokenizer) -> re.Pattern[str] | None:
    """What finds the words of ASCII text; None if it is not known to be all that this tokenizer does."""
    model: Any = backend.model
    parts: Any = json.loads(backend.pre_tokenizer.__getstate__()) if backend.pre_tokenizer else {}
    added = backend.get_added_tokens_decoder().values()
    if not isinstance(model, models.BPE) or model.dropout or backend.normalizer is not None:
        return None
    if model.continuing_subword_prefix or model.end_of_word_suffix or not all(each.special for each in added):
        return None
    match parts.get("pretokenizers"):
        case [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ]:
            return _for_ascii(regex)
    return None


def _for_ascii(regex: str) -> re.Pattern[str] | None:
    """A regular expression of Oniguruma for Python; None if it has what may mean something else there."""
    text, inside = "", False
    for part in _PARTS.finditer(regex):
        kind, found = part.lastgroup, part[0]
        if kind == "category":
            if part["category"] not in _LETTERS or (not inside and not _LETTERS[part["category"]]):
                return None
            letters = _LETTERS[part["category"]]
            found = letters if inside else f"[{letters}]"
        elif kind == "open":
            if inside:
                return None
            inside = True
        elif kind == "close":
            inside = False
        elif found in ("&", "\\") if inside else kind == "other":
            return None
        text += found
    try:
        return re.compile(text, re.ASCII)
    except re.error:
        return None

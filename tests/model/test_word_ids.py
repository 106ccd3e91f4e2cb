"""Ids of words are the tokenizer's own ids, or none at all."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tokenizers")

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from cwm_trace.model.word_ids import word_encoder
from tests.effort import examples

HOME = Path(__file__).parents[2] / "model" / "pretrained" / "cwm-mini"
LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The expression of Llama 3's tokenizer, which is that of CWM's."""
CORPUS = [
    '{"x": "..", "total": "[1, 2, 3]"}',
    "    for i in range(10):\n        total += i\n",
    "it's IT'S 'd 1234",
]


def trained(pattern: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 9, trainer)
    tokenizer.add_special_tokens([AddedToken("<|frame_sep|>")])
    tokenizer.encode_special_tokens = True
    return tokenizer


def bundled() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(HOME / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


TOKENIZERS = {
    "bundled": bundled(),
    "llama": trained(LLAMA),
    "words of letters": trained(r"\p{L}+|\p{N}"),  # the rest lies between words
}
PIECES = st.sampled_from(
    [
        *map(chr, range(128)),
        *(
            [
                "in",
                "and",
                "def",
                "not_in",
                "'':",
                '":',
                '"',
                '",',
                '"',
                '{"',
                '"}',
                "..",
                "'s",
                "'LL",
                "12345",
                "\r\n",
                "<|frame_sep|>",
                "é",
            ]
        ),
    ]
)


@pytest.mark.parametrize("name", TOKENIZERS)
@examples(5)
@given(text=st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=8))
def test_words_give_the_tokenizers_ids(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = word_encoder(tokenizer)(text)
    assert ids is None or ids == tokenizer.encode(text, add_special_tokens=False).ids
    if name != "words of letters":
        assert (ids is None) == (not text.isascii())


@pytest.mark.parametrize("text", ["total = [1, 2]\n", "it's IT'S", '{"x": "..", "y": "\'<|frame_sep|>\'"}'])
def test_traces_are_encoded_by_words(text: str) -> None:
    for name in ("bundled", "llama"):
        encode = word_encoder(TOKENIZERS[name])
        assert encode(text) == encode(text) == TOKENIZERS[name].encode(text, add_special_tokens=False).ids


def test_tokenizers_of_another_make_encode_by_themselves() -> None:
    lowering, adding, plain = (trained(LLAMA) for _ in range(3))
    lowering.normalizer = normalizers.Lowercase()
    adding.add_tokens([AddedToken("total", special=False)])
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    others = [
        trained(pattern) for pattern in (r"^\w+|.", r"[a-z&&[aeiou]]+|\s", r"\p{Lu}+|\h", r"(\w)|\s", r"\R")
    ]
    for tokenizer in (lowering, adding, plain, *others):
        assert word_encoder(tokenizer)("a total") is None

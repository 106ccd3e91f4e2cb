"""Tokenizers: what goes in comes out, text never becomes a special token, same texts give same files."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.tokenizer import (
    META_OFFSETS,
    META_PATTERN,
    SPECIAL_TOKENS,
    TRACE_TOKENS,
    build_tokenizer,
    convert_ranks,
    decode_text,
    encode_text,
    load_tokenizer,
    read_ranks,
    save_tokenizer,
)
from tests.effort import examples

TEXTS = (
    "def f(x, y):\n    return x + y\n",
    '{"x": "[1, 2]", "y": ".."}',
    '{"name": "\'a b\'", "total": "12345"}',
    "for i in range(10):\n    total += i  # ... and so on\n",
    "<|frame_sep|> written out",
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(TEXTS * 4, 400)


@pytest.fixture(scope="module")
def ranks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small `tokenizer.model`: the bytes in an order of their own, then merges."""
    pieces = [bytes([byte]) for byte in (*range(33, 256), *range(33))]
    pieces += [
        b"re",
        b"th",
        b"  ",
        b"retu",
        b"the",
        b"tu",
        b"retur",
        b"return",
        b" x",
        b"12",
        b"123",
        b"\n\n",
        b"ab",
        b"abab",
    ]
    path = tmp_path_factory.mktemp("ranks") / "tokenizer.model"
    path.write_bytes(b"".join(base64.b64encode(piece) + b" %d\n" % rank for rank, piece in enumerate(pieces)))
    return path


@pytest.fixture(scope="module")
def converted(ranks_file: Path) -> PreTrainedTokenizerFast:
    return convert_ranks(ranks_file)


def special_ids(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    return {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}


PIECES = st.sampled_from(
    [
        *SPECIAL_TOKENS,
        "<|",
        "|>",
        " ",
        "  ",
        "\n",
        "..",
        '": "',
        " ,",
        " '",
        "n't",
        "1234",
        "\r\n",
        "é",
        "\u0301",
    ]
)
ANY_TEXT = st.one_of(st.text(), st.lists(PIECES | st.text(max_size=3)).map("".join))


@given(ANY_TEXT)
@example("<|begin_of_text|><|frame_sep|> a , b .")
@example("\x00\ufffd\U0010ffff\u2028 \ufeff")
@examples(3)
def test_any_text_comes_back_as_ordinary_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = encode_text(tokenizer, text)
    assert decode_text(tokenizer, ids) == text
    assert not special_ids(tokenizer).intersection(ids)


def test_decoding_cleans_nothing_up(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What some checkpoints' tokenizer_config.json asks for, and what newer transformers needs to obey it.
    monkeypatch.setattr(tokenizer, "clean_up_tokenization_spaces", True)
    force = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"
    monkeypatch.setattr(tokenizer, force, True, raising=False)
    text = "a , b . do n't"
    ids = encode_text(tokenizer, text)
    assert tokenizer.decode(ids) == "a, b. don't"
    assert decode_text(tokenizer, ids) == text


def test_special_tokens_placed_by_id_decode_to_their_names(tokenizer: PreTrainedTokenizerFast) -> None:
    for token in SPECIAL_TOKENS:
        assert decode_text(tokenizer, [tokenizer.get_vocab()[token]]) == token
    # Without `split_special_tokens` they are tokens: the state of one call does not leak into the next.
    encode_text(tokenizer, "<|frame_sep|>")
    assert tokenizer.encode("a<|frame_sep|>", add_special_tokens=False)[-1] in special_ids(tokenizer)


@pytest.mark.parametrize("text", ["\ud800", "x = '\udfff'"])
def test_a_lone_surrogate_is_refused(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    with pytest.raises(CwmTraceError, match=r"lone surrogate \('\\ud"):
        encode_text(tokenizer, text)


def test_digits_are_single_and_joints_of_a_frame_are_words(tokenizer: PreTrainedTokenizerFast) -> None:
    def tokens(text: str) -> list[str]:
        return [decode_text(tokenizer, [index]) for index in encode_text(tokenizer, text)]

    assert tokens("120345") == list("120345")
    assert tokens('", "') == ['", "']
    assert tokens('": "..') == ['": "', ".."]
    assert tokens('\']", "y') == ["'", "]", '", "', "y"]
    assert tokens("    return x")[0] == "    "


def test_ordinary_ids_come_first_and_special_ids_last(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) <= 400
    first = len(tokenizer) - len(SPECIAL_TOKENS)
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS] == list(
        range(first, len(tokenizer))
    )
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_nothing_is_put_in_front(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer("f")["input_ids"] == encode_text(tokenizer, "f")


def test_the_vocabulary_must_hold_bytes_and_special_tokens() -> None:
    with pytest.raises(CwmTraceError, match=r"256 bytes and 17 special tokens need 273"):
        build_tokenizer(TEXTS, 272)
    assert len(build_tokenizer(TEXTS, 273)) == 273


def test_the_same_texts_give_the_same_bytes(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from cwm_trace.model.tokenizer import build_tokenizer, save_tokenizer\n"
        f"save_tokenizer(build_tokenizer({TEXTS * 4!r}, 400), Path(sys.argv[1]))"
    )
    save_tokenizer(tokenizer, tmp_path / "here")
    subprocess.run([sys.executable, "-c", program, tmp_path / "there"], check=True)
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_saved_folder_loads_through_auto_tokenizer(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer, tmp_path)
    loaded = load_tokenizer(tmp_path)
    text = "a <|frame_sep|> b , c ."
    assert encode_text(loaded, text) == encode_text(tokenizer, text)
    assert decode_text(loaded, encode_text(loaded, text)) == text
    assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|pad|>",
    )
    assert loaded.chat_template == tokenizer.chat_template


def test_a_tokenizer_without_trace_tokens_is_named(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer, tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("<|arg_sep|>", "<|other|>"))
    with pytest.raises(CwmTraceError, match=r"has no <\|arg_sep\|> \(1 of 10 trace tokens missing\)"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_that_changes_text_is_named(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace('"add_prefix_space": false', '"add_prefix_space": true', 1))
    with pytest.raises(CwmTraceError, match="does not keep text"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [None, "{", '{"model": {}}'])
def test_a_folder_without_a_sound_tokenizer_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
        (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(CwmTraceError) as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def merge_by_rank(ranks: dict[bytes, int], word: bytes) -> list[int]:
    """Tiktoken's rule, written again: join the neighbours of the lowest rank until none is left."""
    pieces = [bytes([byte]) for byte in word]
    while True:
        joined = [ranks.get(left + right) for left, right in pairwise(pieces)]
        best = min((rank for rank in joined if rank is not None), default=None)
        if best is None:
            return [ranks[piece] for piece in pieces]
        at = joined.index(best)
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]


@given(
    st.lists(
        st.sampled_from(["return", "the", " x", "12345", "\n\n", "abab", "retu", "  ", "'S", "é"]) | st.text()
    ).map("".join)
)
@examples(2)
def test_converted_ranks_encode_as_tiktoken_does(
    ranks_file: Path, converted: PreTrainedTokenizerFast, text: str
) -> None:
    ranks = read_ranks(ranks_file)
    words: Sequence[str] = regex.findall(META_PATTERN, text)
    expected = [index for word in words for index in merge_by_rank(ranks, word.encode())]
    assert encode_text(converted, text) == expected
    assert decode_text(converted, expected) == text


def test_converted_ranks_keep_metas_ids(ranks_file: Path, converted: PreTrainedTokenizerFast) -> None:
    ordinary = len(read_ranks(ranks_file))
    assert len(converted) == ordinary + 256
    for token, offset in META_OFFSETS.items():
        assert converted.convert_tokens_to_ids(token) == ordinary + offset
    assert converted.convert_ids_to_tokens(ordinary + 255) == "<|reserved_special_token_255|>"
    assert META_OFFSETS["<|trace_context_start|>"] == 128107 - 128000
    assert len(TRACE_TOKENS) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the ranks"),
        (b"", "no token for the byte 0x00"),
        (b"AA== 0\nAQ==\n", "line 2 should be"),
        (b"AA== 0\n!!! 1\n", "line 2 should be"),
        (b"AA== 0\nAQ== 2\n", "the rank 1"),
        (b"AA== 0\nAA== 1\n", "line 2 should be a new token"),
        (b"\x08\x00\x12sentencepiece", "line 1 should be"),
    ],
)
def test_a_file_that_is_no_ranks_is_one_sentence(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "tokenizer.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CwmTraceError, match=message):
        convert_ranks(path)


def test_texts_are_made_in_the_thread_that_asks_for_them() -> None:
    """A generator that records programs with a time limit needs the main thread."""
    threads: list[threading.Thread] = []

    def texts() -> Iterator[str]:
        for text in ("x = 1\n", '{"x": ".."}'):
            threads.append(threading.current_thread())
            yield text

    build_tokenizer(texts(), 300)
    assert threads == [threading.current_thread()] * 2


def test_a_name_is_one_word_in_source_and_in_locals() -> None:
    texts = ["    if count < 10:\n", "count = count + 1\n", '{"count": "..", "other": "12", "xs": ".."}'] * 20
    tokenizer = build_tokenizer(texts, 400).backend_tokenizer
    (name,) = tokenizer.encode("count").ids
    for text in texts[:3]:
        assert name in tokenizer.encode(text).ids
    assert tokenizer.encode(texts[2]).tokens == [
        '{"', "count", '":Ġ"..",Ġ"', "other", '":Ġ"', "1", "2", '",Ġ"', "xs", '":Ġ".."}',
    ]  # fmt: skip

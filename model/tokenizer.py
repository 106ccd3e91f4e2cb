r"""CWM's tokens: small tokenizers built here, Meta's `tokenizer.model` converted, folders loaded and checked.

Ordinary ids come first and special ids last, as in Meta's tokenizer. Text goes in through `encode_text`,
which never yields a special id, and comes out through `decode_text`, which cleans nothing up: any text that
has a UTF-8 form comes back exactly. A lone surrogate (`'\ud800'`) has none and is refused; `repr` and
`json.dumps` escape it, so no trace holds one.

No tokenizer here puts `<|begin_of_text|>` in front by itself: prompts and the chat template write it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter, bytes_to_unicode

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.json_files import read_json
from cwm_trace.model.tokens import check_mapping

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BEGIN_OF_TEXT = "<|begin_of_text|>"
END_OF_TEXT = "<|end_of_text|>"
PAD = "<|pad|>"

CHAT_TEMPLATE = files("cwm_trace.model").joinpath("chat_template.jinja").read_text(encoding="utf-8")
"""Jinja source of CWM's chat format; `cwm_trace.model.chat` says what is known of it."""

TOKENIZER_FOLDER = "tokenizer"
"""Where a folder that is not itself a model's keeps its tokenizer: that of a run, of packed sequences."""

# Offsets from the end of the ordinary ids in Meta's tokenizer (facebookresearch/cwm, cwm/text/tokenizers.py).
# Its prompting guide gives 8 to eot_id; the code has eom_id there and eot_id at 9.
META_OFFSETS = {
    _BEGIN_OF_TEXT: 0,
    END_OF_TEXT: 1,
    PAD: 4,
    "<|start_header_id|>": 6,
    "<|end_header_id|>": 7,
    "<|eom_id|>": 8,
    "<|eot_id|>": 9,
    "<|frame_sep|>": 100,
    "<|action_sep|>": 101,
    "<|return_sep|>": 102,
    "<|call_sep|>": 103,
    "<|line_sep|>": 104,
    "<|exception_sep|>": 105,
    "<|arg_sep|>": 106,
    "<|trace_context_start|>": 107,
    "<|reasoning_thinking_start|>": 120,
    "<|reasoning_thinking_end|>": 121,
}
_META_SPECIALS = 256  # ids that Meta's tokenizer reserves after the ordinary ones, named or not
SPECIAL_TOKENS = tuple(META_OFFSETS)
TRACE_TOKENS = (
    _BEGIN_OF_TEXT,
    END_OF_TEXT,
    *(name for name, offset in META_OFFSETS.items() if 100 <= offset < 108),
)

META_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Where Meta's tokenizer cuts text into words (facebookresearch/cwm, cwm/text/tokenizers.py)."""

_KEYWORDS = (
    "and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|global|if"
    "|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield"
)
_JOINTS = (
    r'": "\.\.(?:", "|"\})',  # after the name of a variable: unchanged, and on; the commonest word of all
    r'": "',  # a name and its value
    r'", "',  # the next name
    r'\{"',
    r'"\}',
    r"\.\.",
)
_TRACE_PATTERN = "|".join(
    (
        *_JOINTS,
        r"\p{N}",  # digits one by one
        rf" ?\b(?:{_KEYWORDS})\b ?",
        r"[\p{L}\p{M}_]+",  # a name is the same word in source and in locals: spaces go to what is beside it
        rf" ?(?:(?!{'|'.join(_JOINTS)})[^\s\p{{L}}\p{{M}}\p{{N}}_])+(?: (?! )|\n)?",  # punctuation
        r"\n",
        r" +",  # indentation
        r"[^\S \n]+",
    )
)
"""Where `build_tokenizer` cuts text: the joints of a frame are words, so values never merge with them."""


def build_tokenizer(
    texts: Iterable[str], vocab_size: int, *, max_length: int = 131_072, chat_template: str = CHAT_TEMPLATE
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with CWM's special tokens; the same texts give the same files.

    Args:
        texts: What to learn merges from, all kept in memory; special tokens spelt out are only characters.
        vocab_size: Ids in all: 256 bytes, merges, then `SPECIAL_TOKENS`; fewer if the texts hold too few.
        max_length: Tokens that the model can take.
        chat_template: Jinja source of the chat format.

    Raises:
        CwmTraceError: `vocab_size` has no room for the bytes and the special tokens.
    """
    least = 256 + len(SPECIAL_TOKENS)
    if vocab_size < least:
        raise CwmTraceError(
            f"a vocabulary of {vocab_size} is too small: 256 bytes and {len(SPECIAL_TOKENS)} special tokens "
            f"need {least}"
        )
    tokenizer = Tokenizer(models.BPE())
    _cut_at(tokenizer, _TRACE_PATTERN)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(list(texts), trainer)  # it would draw texts in another thread
    return _with_specials(tokenizer, SPECIAL_TOKENS, max_length, chat_template)


def convert_ranks(path: Path, *, max_length: int = 131_072) -> PreTrainedTokenizerFast:
    """Turn Meta's `tokenizer.model` (a tiktoken file) into a Hugging Face tokenizer with the same ids.

    Raises:
        CwmTraceError: The file is not a list of ranks, or not one of every byte.
    """
    converter = _RanksConverter(vocab_file=str(path), pattern=META_PATTERN)  # type: ignore[no-untyped-call]
    backend = converter.converted()
    specials = {offset: name for name, offset in META_OFFSETS.items()}
    names = [specials.get(offset, f"<|reserved_special_token_{offset}|>") for offset in range(_META_SPECIALS)]
    return _with_specials(backend, names, max_length, CHAT_TEMPLATE)


def read_ranks(path: Path) -> dict[bytes, int]:
    """Read a tiktoken file: a token in base64 and its rank on each line, the ranks counting up from 0.

    Raises:
        CwmTraceError: The file cannot be read, a line is not of that form, or a byte has no token.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CwmTraceError(f"cannot read the ranks in {path}: {error.strerror}") from error
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(lines):
        try:
            token, rank = line.split()
            piece = base64.b64decode(token, validate=True)
            wrong = int(rank) != number or piece in ranks
        except (ValueError, binascii.Error):
            wrong = True
        if wrong:
            raise CwmTraceError(
                f"{path} is not a tiktoken file: line {number + 1} should be a new token in base64 "
                f"and the rank {number}"
            )
        ranks[piece] = number
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise CwmTraceError(
            f"{path} has no token for the byte 0x{missing[0]:02x}, so it cannot encode every text"
        )
    return ranks


def ranks_of(path: Path) -> bytes | None:
    """Write back the tiktoken file that `convert_ranks` made a `tokenizer.json` from.

    Returns:
        None for every other tokenizer: its text is cut into words elsewhere, or there is no such file.
    """
    if not path.exists():
        return None
    content = read_json(path)
    try:
        first = content["pre_tokenizer"]["pretokenizers"][0]
        vocabulary: dict[str, int] = content["model"]["vocab"]
        if first["pattern"] != {"Regex": META_PATTERN} or not content["model"]["ignore_merges"]:
            return None
    except (KeyError, IndexError, TypeError):
        return None
    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}  # type: ignore[no-untyped-call]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    lines = (base64.b64encode(bytes(byte_of[character] for character in token)) for token in tokens)
    return b"".join(b"%s %d\n" % (line, rank) for rank, line in enumerate(lines))


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`."""
    tokenizer.save_pretrained(str(folder))


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load a folder (or hub id) with `AutoTokenizer` and make sure that traces can be written with it.

    Raises:
        CwmTraceError: There is no tokenizer, a trace token is missing, or text could become a special token.
    """
    tokenizer = read_tokenizer(folder)
    check_trace_tokens(tokenizer, str(folder))
    return tokenizer


def extend_tokenizer(tokenizer: PreTrainedTokenizerBase, name: str) -> list[int]:
    """Add the trace tokens that a tokenizer lacks, and `PAD` if it has no padding.

    Returns:
        The new ids.

    Raises:
        CwmTraceError: Traces cannot be written with it, with or without them.
    """
    known = tokenizer.get_vocab()
    names = TRACE_TOKENS if tokenizer.pad_token is not None else (*TRACE_TOKENS, PAD)
    new = [token for token in names if token not in known]
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in new])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = PAD
    check_trace_tokens(tokenizer, name)
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in new]


def read_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load a folder (or hub id) with `AutoTokenizer`, whatever it is for.

    Raises:
        CwmTraceError: There is no tokenizer.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(": ")
        raise CwmTraceError(f"no tokenizer can be loaded from {folder}: {reason}") from error
    except Exception as error:  # the Rust library raises bare Exception on a corrupt tokenizer.json
        raise CwmTraceError(
            f"the tokenizer in {folder} is damaged ({error}): copy or build it again"
        ) from error
    return tokenizer


def check_trace_tokens(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Make sure that every trace token is one id of its own and that text which spells it stays text.

    Raises:
        CwmTraceError: One is missing, or `encode_text` and `decode_text` would not be exact.
    """
    encode, decode = partial(encode_text, tokenizer), partial(decode_text, tokenizer)
    check_mapping(tokenizer.get_vocab(), encode, decode, name)


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Encode program text: ordinary ids only, whatever the text spells.

    Raises:
        CwmTraceError: The text holds a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CwmTraceError(
            f"the text holds a lone surrogate ({text[error.start]!a} at character {error.start}), which has "
            "no UTF-8 form: escape or replace it"
        ) from error
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return ids


def decode_text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Decode ids exactly: special tokens spelt out, spaces left alone, bytes that are no UTF-8 as U+FFFD."""
    text = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return str(text)


class _RanksConverter(TikTokenConverter):
    """Transformers' conversion, reading the ranks without the tiktoken package."""

    @staticmethod
    def load_tiktoken_bpe(tiktoken_url: str) -> dict[bytes, int]:
        return read_ranks(Path(tiktoken_url))


def _cut_at(tokenizer: Tokenizer, pattern: str) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()


def _with_specials(
    tokenizer: Tokenizer, names: Sequence[str], max_length: int, chat_template: str
) -> PreTrainedTokenizerFast:
    """Append the special tokens, in order, after the ordinary ids."""
    ordinary = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    if tokenizer.get_vocab_size() != ordinary + len(names):
        # A token of the same spelling in the model would turn ordinary text into a special id.
        raise CwmTraceError(
            "the vocabulary already spells one of CWM's special tokens: leave it out of the ranks"
        )
    settings: dict[str, Any] = {
        "bos_token": _BEGIN_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "padding_side": "left",  # as generation needs it
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
        "chat_template": chat_template,
    }
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings)  # type: ignore[no-untyped-call]

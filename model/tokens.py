"""The ids of a `tokenizer.json`, read without transformers, which is slow to import and to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.word_ids import word_encoder
from cwm_trace.wire.tokens import Special, TraceTokens


def read_tokens(place: str | Path) -> TraceTokens:
    """Read the mapping of a tokenizer; it is that of `TraceTokens.from_tokenizer(load_tokenizer(place))`.

    Args:
        place: A `tokenizer.json`, or the folder that holds it.

    Raises:
        CwmTraceError: There is none, a trace token is missing, or text could become a special token.
    """
    path = Path(place)
    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.is_file():
        raise CwmTraceError(f"no tokenizer can be loaded from {place}: there is no {path.name}")
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises bare Exception
        raise CwmTraceError(
            f"the tokenizer in {place} is damaged ({error}): copy or build it again"
        ) from error
    backend.encode_special_tokens = True  # text that spells a special token is text
    backend.no_truncation()
    backend.no_padding()
    vocabulary = backend.get_vocab()

    by_words = word_encoder(backend)

    def encode(text: str) -> list[int]:
        ids = by_words(text)
        return backend.encode(text, add_special_tokens=False).ids if ids is None else ids

    size = max(vocabulary.values(), default=-1) + 1

    def decode(ids: Sequence[int]) -> str:
        text: str = backend.decode([n for n in ids if 0 <= n < size], skip_special_tokens=False)
        return text

    check_mapping(vocabulary, encode, decode, str(place))
    return TraceTokens({special: vocabulary[special.value] for special in Special}, encode, decode)


def check_mapping(
    vocabulary: Mapping[str, int],
    encode: Callable[[str], Sequence[int]],
    decode: Callable[[Sequence[int]], str],
    name: str,
) -> None:
    """Make sure that every trace token is one id of its own and that text which spells it stays text.

    Args:
        vocabulary: The id of every token.
        encode: Text to ordinary ids.
        decode: Ids to text.
        name: What to call the tokenizer in an error.

    Raises:
        CwmTraceError: A trace token is missing, or text does not come back exactly.
    """
    names = [special.value for special in Special]
    missing = [token for token in names if token not in vocabulary]
    if missing:
        raise CwmTraceError(
            f"the tokenizer of {name} has no {missing[0]} ({len(missing)} of {len(names)} trace "
            "tokens missing): take a CWM tokenizer or see cwm_trace.model.tokenizer.build_tokenizer"
        )
    sample = "".join(names) + " ' s ,\n  ..\t"
    ids = encode(sample)
    special = {vocabulary[token] for token in names}
    if special.intersection(ids) or decode(ids) != sample:
        raise CwmTraceError(
            f"the tokenizer of {name} does not keep text that spells a special token apart from the token, "
            "or does not give text back exactly: traces need a byte-level BPE tokenizer"
        )

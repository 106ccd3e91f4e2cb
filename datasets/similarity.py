"""When two programs are the same, or nearly: for duplicates inside a dataset and copies of a benchmark.

Programs are compared by their words (names, numbers, strings, operators); layout and comments do not count.
The same up to names: equal after every name was replaced by the number of its first occurrence. Nearly the
same: MinHash (Broder 1997; the package rensa) over runs of five words, found by locality-sensitive hashing.
"""

from __future__ import annotations

import builtins
import hashlib
import keyword
import re
import string
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cwm_trace.errors import CwmTraceError

Sketch = npt.NDArray[np.uint32]

_RUN = 5
PERMUTATIONS = 128
"""Numbers of a sketch."""
_SEED = 42
_SHORTEST = 20
"""Words of a definition that can be taken for a copy; shorter ones are alike by chance."""

_WORD = re.compile(
    r"#[^\n]*"
    r"|[A-Za-z]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|\w+|[^\w\s]",
    re.DOTALL,
)
_FIELD = re.compile(r"(?<!\{)\{[^{}]+\}")  # of an f-string
_SAME = frozenset([*keyword.kwlist, *dir(builtins), *string.punctuation]) - {"_", "'", '"'}
"""Words that are nobody's names, and no strings."""


def words_of(source: str) -> list[str]:
    """The words of a program, without comments."""
    return [word for word in _WORD.findall(source) if word[0] != "#"]


def rename_words(words: Iterable[str]) -> list[str]:
    """Every name of the program's own as the number of its first occurrence; attributes stay.

    >>> rename_words(words_of("total = total + len(items.copy())"))
    ['$0', '=', '$0', '+', 'len', '(', '$1', '.', 'copy', '(', ')', ')']
    """
    return _rename(words, {})


def _rename(words: Iterable[str], numbers: dict[str, str], strings: bool = True) -> list[str]:
    renamed = []
    before = ""
    for word in words:
        if word in _SAME:  # first what most words are
            renamed.append(word)
        elif strings and word[-1] in "'\"":
            if word[0] in "fF" or word[:2] in ("rf", "rF", "Rf", "RF"):
                word = _FIELD.sub(lambda field: "".join(_rename(words_of(field[0]), numbers, False)), word)
            renamed.append(word)
        elif before != "." and (new := numbers.get(word)) is not None:
            renamed.append(new)
        elif before != "." and (word[0].isalpha() or word[0] == "_"):
            numbers[word] = new = f"${len(numbers)}"
            renamed.append(new)
        else:
            renamed.append(word)
        before = word
    return renamed


def key_of(words: Iterable[str]) -> int:
    """A number of 64 bits that is equal for equal words."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def sketch(words: list[str]) -> Sketch:
    """The MinHash of a program's words, `(128,)` uint32.

    Raises:
        CwmTraceError: the package rensa is missing.
    """
    minhash = _rensa().RMinHash(num_perm=PERMUTATIONS, seed=_SEED)
    runs = zip(*(words[start:] for start in range(_RUN)), strict=False)
    minhash.update(list(map(" ".join, runs)) or [" ".join(words)])
    return np.frombuffer(array("I", minhash.digest()), np.uint32)


class Sketches:
    """Sketches that can be asked whether one like another is among them.

    Two are compared if a band of them is equal: of sixteen, or of 32 where less similar ones count as alike.

    Args:
        threshold: estimated Jaccard similarity from which two are alike, from 0.5 to 1.
    """

    def __init__(self, threshold: float) -> None:
        self._least = threshold * PERMUTATIONS
        self._bands = bands_for(threshold)
        self._numbers: dict[bytes, list[int]] = {}
        self._sketches: list[Sketch] = []

    def find(self, other: Sketch, bands: int = -1) -> int | None:
        """The number of the first one that is alike; None if there is none.

        Args:
            other: what they are compared with.
            bands: the bits of those that need to be looked at.
        """
        near = {number for key in self._keys(other, bands) for number in self._numbers.get(key, ())}
        for number in sorted(near):
            if np.count_nonzero(self._sketches[number] == other) >= self._least:
                return number
        return None

    def add(self, other: Sketch, bands: int = -1) -> None:
        """Add one, to be found by those bands; they are numbered from 0."""
        for key in self._keys(other, bands):
            self._numbers.setdefault(key, []).append(len(self._sketches))
        self._sketches.append(other)

    def _keys(self, other: Sketch, bands: int) -> Iterator[bytes]:
        data = other.tobytes()
        size = len(data) // self._bands
        for band in range(self._bands):
            if bands >> band & 1:
                yield data[band * size : (band + 1) * size] + bytes([band])


def bands_for(threshold: float) -> int:
    """How many bands a sketch is cut into, so that two that are alike nearly always share one."""
    return 32 if threshold < 0.8 else 16


class Benchmark:
    """Programs that no dataset for training may hold.

    Args:
        sources: their texts.
        threshold: similarity, after renaming, from which a definition counts as a copy of one of theirs.
    """

    def __init__(self, sources: Iterable[str], threshold: float) -> None:
        self._keys: set[int] = set()
        self._sketches = Sketches(threshold)
        for source in sources:
            for words in _definitions(source):
                self._keys.add(key_of(words))
                self._sketches.add(sketch(words))

    def __len__(self) -> int:
        return len(self._keys)

    def has_copy_in(self, source: str) -> bool:
        """Whether `source`, or a definition in it, is one of the benchmark's, nearly and up to names."""
        return any(
            key_of(words) in self._keys or self._sketches.find(sketch(words)) is not None
            for words in _definitions(source)
        )


def _definitions(source: str) -> Iterator[list[str]]:
    """The renamed words of the whole text and of each definition at its top level that is long enough."""
    whole = words_of(source)
    if len(whole) >= _SHORTEST:
        yield rename_words(whole)
    for block in _blocks(source):
        words = words_of(block)
        if _SHORTEST <= len(words) < len(whole):
            yield rename_words(words)


def _blocks(source: str) -> Iterator[str]:
    """The texts of the definitions at the top level, found by their indentation."""
    block: list[str] = []
    for line in source.splitlines(keepends=True):
        if line[0] not in _INSIDE:
            if block and block[-1][0] != "@":
                yield "".join(block)
                block = []
            if _BEGINS.match(line):
                block.append(line)
        elif block:
            block.append(line)
    if block:
        yield "".join(block)


_INSIDE = " \t\r\n\f)]}#"
"""What a line that belongs to the definition above begins with."""
_BEGINS = re.compile(r"(?:async\s+)?def\s|class\s|@")


def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        raise CwmTraceError(
            "finding duplicates needs the rensa package: pip install 'cwm-trace[data]'"
        ) from None
    return rensa

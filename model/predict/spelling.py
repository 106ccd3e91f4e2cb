"""In which tokens locals may be spelt under a guide, and which of them there is no choice about.

A text that must come next has many spellings. The one that counts is the tokenizer's own, since true frames
are written so: a token of it is forced where it is the same whatever follows. Two things could change it.
A token may reach over the end of the forced text, so that every place where such a token may begin is tried
as an end; and the tokens before, so that a few of them are spelt again together with what follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from cwm_trace.model.predict.guide import Names, Place
from cwm_trace.model.predict.vocabulary import Legal, Vocabulary

CONTEXT = 4
"""Tokens before a text that it is spelt together with."""


class Spelling:
    """How the locals of one guide are spelt.

    Args:
        names: the guide.
        vocabulary: of the tokenizer.
        encode: a text as tokens.
    """

    def __init__(self, names: Names, vocabulary: Vocabulary, encode: Callable[[str], Sequence[int]]) -> None:
        self.names = names
        self._vocabulary, self._tokens_of = vocabulary, encode
        self._legal: dict[tuple[Place, int], Legal] = {}
        self._forced: dict[tuple[Place, str], tuple[int, ...]] = {}

    def legal(self, place: Place, row: int) -> Legal:
        """Tokens of a row after which the guide knows how to go on."""
        key = place, row
        if key not in self._legal:
            self._legal[key] = self._find_legal(place, row)
        return self._legal[key]

    def forced(self, place: Place, written: Sequence[int]) -> tuple[int, ...]:
        """Tokens that must come next.

        Args:
            place: where the locals are.
            written: tokens of the locals so far.
        """
        if place.mode in ("text", "end"):
            return ()
        before = "".join(self._vocabulary.texts[number] for number in written[-CONTEXT:])
        key = place, before
        if key not in self._forced:
            text = self.names.forced(place)
            self._forced[key] = self._spell(place, before, text) if text else ()
        return self._forced[key]

    def _find_legal(self, place: Place, row: int) -> Legal:
        texts, allowed = self._vocabulary.texts, self._vocabulary.allowed[row]
        if place.mode == "text":  # only what ends the value can be wrong
            numbers = [number for number in self._vocabulary.quoted if allowed[number]]
            but = tuple(number for number in numbers if self.names.after(place, texts[number]) is None)
            return Legal(None, row, but)
        fitting: list[int] = []
        self._find_fitting(place, 0, 0, len(self._vocabulary.in_order), fitting)
        fitting = [number for number in fitting if allowed[number]]
        return Legal(tuple(fitting)) if fitting else Legal(None, row)

    def _find_fitting(self, place: Place, written: int, first: int, end: int, found: list[int]) -> None:
        """Add those of the tokens in order, from `first` to `end`, that the guide allows.

        Args:
            place: after the `written` characters that all of them begin with.
            written: their number.
            first, end: among `Vocabulary.in_order`.
            found: what is added to.
        """
        in_order = self._vocabulary.in_order
        prefix = in_order[first][0][:written]
        while first < end and len(in_order[first][0]) == written:
            found.append(in_order[first][1])
            first += 1
        following = self.names.following(place)
        if following is None:
            following = sorted({text[written] for text, _ in in_order[first:end]})
        for character in following:
            begin = bisect_left(in_order, (prefix + character, -1), first, end)
            behind = bisect_left(in_order, (prefix + chr(ord(character) + 1), -1), begin, end)
            after = self.names.after(place, character) if begin < behind else None
            if after is not None:
                self._find_fitting(after, written + 1, begin, behind, found)

    def _spell(self, place: Place, before: str, text: str) -> tuple[int, ...]:
        """The tokens of `text` that are the same wherever a token may reach over its end."""
        found: tuple[int, ...] | None = None
        for end in (len(text), *self._crossings(place, text)):
            tokens = self._encode(before, text[:end])
            found = tokens if found is None else _common(found, tokens)
        return found or ()

    def _crossings(self, place: Place, text: str) -> list[int]:
        """Where a token may begin that reaches over the end of the text."""
        start = max(0, len(text) - self._vocabulary.longest)
        here: Place | None = self.names.after(place, text[:start])
        found = []
        for at in range(start, len(text)):
            if here is None:
                break
            longer = self._vocabulary.longer(text[at:])
            if any(self.names.after(here, token) is not None for token in longer):
                found.append(at)
            here = self.names.after(here, text[at])
        return found

    def _encode(self, before: str, text: str) -> tuple[int, ...]:
        """The tokens of a text behind another one; as if alone if a token would reach over from there."""
        ids, length = self._tokens_of(before + text), 0
        for at, number in enumerate(ids):
            if length == len(before):
                return tuple(ids[at:])
            length += len(self._vocabulary.texts[number])
        return tuple(self._tokens_of(text)) if length != len(before) else ()


def _common(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """The common beginning."""
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return left[:at]
    return min(left, right, key=len)

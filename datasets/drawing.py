"""The one source of randomness of the generators: the same draws on every machine and Python version.

Every choice is made by `below`, `chance` and `random`; `cwm_trace.strategies` has a `Draw` whose choices are
Hypothesis's. Here they rest on `random.Random.random` alone, whose values for a given seed Python promises to
keep; `choice`, `shuffle`, `sample` and `randint` have changed between versions.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from cwm_trace.datasets.names import NAMES
from cwm_trace.datasets.pools import CLASSES, INTS, SPLIT_WORDS, class_of, int_range

_T = TypeVar("_T")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RANGES: dict[tuple[str, int, int], tuple[int, int]] = {}


class Draw:
    """Draws of one item, and the constants that its split may use.

    Args:
        key: what the draws depend on, and nothing else.
        split: whose constants are used.
    """

    __slots__ = ("ints", "random", "split", "words")

    def __init__(self, key: str, split: str) -> None:
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        self.random = random.Random(int.from_bytes(digest, "big")).random
        self.split = split
        self.ints = INTS[split]
        self.words = SPLIT_WORDS[split]

    def below(self, size: int) -> int:
        """An int from 0 to `size - 1`."""
        return int(self.random() * size)

    def between(self, low: int, high: int) -> int:
        """An int from `low` to `high`, both included: for shapes, not for constants in the text."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """True in a share of the draws."""
        return self.random() < share

    def pick(self, options: Sequence[_T]) -> _T:
        """One of the options."""
        return options[self.below(len(options))]

    def apart(self, write: Callable[[], None]) -> None:
        """Write a part of a program that could as well be left out."""
        write()

    def sample(self, options: Sequence[_T], count: int) -> list[_T]:
        """Different ones of the options, in random order."""
        left = list(options)
        size = len(left)
        for place in range(count):
            other = place + self.below(size - place)
            left[place], left[other] = left[other], left[place]
        return left[:count]

    def number(self, low: int, high: int) -> int:
        """A constant of the split from `low` to `high`, both included.

        The range must reach below 10 or hold nine ints: then every split has a constant in it.
        """
        key = (self.split, low, high)
        if key not in _RANGES:
            _RANGES[key] = int_range(*key)
        start, stop = _RANGES[key]
        return self.ints[start + self.below(stop - start)]

    def numbers(self, count: int, low: int, high: int) -> list[int]:
        """Several constants of the split."""
        return [self.number(low, high) for _ in range(count)]

    def word(self) -> str:
        """A lower-case English word of the split."""
        return self.pick(self.words)

    def letters(self, count: int, alphabet: str = _LETTERS) -> str:
        """A string of the split; longer by up to three letters where two letters make no such string."""
        chosen = [self.pick(alphabet) for _ in range(count)]
        classes = (None, *CLASSES[self.split])
        for attempt in range(1, 1000):
            text = "".join(chosen)
            if class_of(text) in classes:
                return text
            letter = self.pick(alphabet)
            if attempt % 40 == 0:
                chosen.append(letter)
            else:
                chosen[self.below(len(chosen))] = letter
        raise ValueError(f"no string of {alphabet!r} is in {self.split}")

    def names(self, *roles: str) -> list[str]:
        """Different names, one for each role; see `cwm_trace.datasets.names`."""
        names: list[str] = []
        for role in roles:
            pool = NAMES[role]
            name = self.pick(pool)
            while name in names:
                name = self.pick(pool)
                if all(other in names for other in pool):
                    name = f"{name}{len(names)}"
            names.append(name)
        return names

    def real(self, low: int, high: int) -> float:
        """A float constant of the split with at most two decimals, between two ints."""
        hundredths = self.between(low * 100, high * 100)
        allowed = (None, *CLASSES[self.split])
        while class_of(hundredths / 100) not in allowed:
            hundredths = hundredths + 1 if hundredths < high * 100 else low * 100
        return hundredths / 100

    def allows(self, value: int | float | str) -> bool:
        """Whether the split may use a constant."""
        return class_of(value) in (None, *CLASSES[self.split])

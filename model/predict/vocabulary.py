"""Which tokens of a vocabulary may follow where, in the JSON texts of a frame.

LOCALS is `{"name": "text", …}` and VALUE is `"text"`, exactly as `json.dumps` writes them: a language of a
finite automaton over ASCII characters. A token is legal in a state if the automaton survives its characters,
so a table of states and tokens, computed once for a tokenizer, answers for every position.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cwm_trace.errors import CwmTraceError
from cwm_trace.wire.tokens import TraceTokens


def _escape_states(kind: str) -> tuple[str, ...]:
    """After a backslash, after the `u`, and inside its four digits, of which the beginning may be zeros."""
    return tuple(f"{kind}-{at}" for at in ("escape", "u", "1", "2", "3", "0", "00", "000", "007"))


STATES = (
    "locals",  # nothing yet: {
    "brace",  # a name's quote or }
    "name-start",
    "name",
    *_escape_states("name"),
    "colon",
    "colon-space",
    "text-quote",
    "text",
    *_escape_states("text"),
    "comma",  # a comma or }
    "comma-space",
    "name-quote",
    "locals-end",
    "value",  # nothing yet: a quote
    "string",
    *_escape_states("string"),
    "value-end",
)
INDEX = {name: index for index, name in enumerate(STATES)}
SHORTEST = len(STATES)
"""What is added to a row of `Vocabulary.allowed` for a text that must end now."""
NO_MORE = 2 * len(STATES)
"""What is added to it, or to that of the shortest, where no further name may begin."""
DEAD = -1
_FEW = 8
"""Up to so many legal ids are listed; more are a row of the table."""


class Legal(NamedTuple):
    """What may come next.

    Args:
        ids: the legal ids, if they are few; else None, and those of `row` are legal.
        row: a row of `Vocabulary.allowed`; negative: everything is legal.
        but: ids that are not legal in spite of their row.
    """

    ids: tuple[int, ...] | None
    row: int = 0
    but: tuple[int, ...] = ()

    @property
    def only(self) -> int | None:
        """The one legal id, which nobody is asked about; None where there is a choice."""
        return self.ids[0] if self.ids is not None and len(self.ids) == 1 else None


_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\')
_SPECIAL = re.compile(r"<.+>")
"""How tokenizers spell special tokens, of which a trace's are only some."""
_HEX = "0123456789abcdef"
_NAME = string.ascii_letters + string.digits + "_."


def _transitions() -> dict[str, dict[str, str]]:
    """The automaton: state, characters, next state."""
    table = {
        "locals": {"{": "brace"},
        "brace": {'"': "name-start", "}": "locals-end"},
        "colon": {":": "colon-space"},
        "colon-space": {" ": "text-quote"},
        "text-quote": {'"': "text"},
        "comma": {",": "comma-space", "}": "locals-end"},
        "comma-space": {" ": "name-quote"},
        "name-quote": {'"': "name-start"},
        "name-start": {_NAME: "name", "\\": "name-escape"},
        "name": {_NAME: "name", "\\": "name-escape", '"': "colon"},
        "name-escape": {"u": "name-u"},
        "text": {_PLAIN: "text", "\\": "text-escape", '"': "comma"},
        "value": {'"': "string"},
        "string": {_PLAIN: "string", "\\": "string-escape", '"': "value-end"},
    }
    for kind in ("text", "string"):
        table[f"{kind}-escape"] = {'"\\nrtbf': kind, "u": f"{kind}-u"}
    for kind in ("name", "text", "string"):
        # what has a shorter form, as `A` and `\n` have, is never written as \u and four digits
        table[f"{kind}-u"] = {"0": f"{kind}-0", "123456789abcdef": f"{kind}-1"}
        table[f"{kind}-1"] = {_HEX: f"{kind}-2"}
        table[f"{kind}-2"] = {_HEX: f"{kind}-3"}
        table[f"{kind}-3"] = {_HEX: kind}
        table[f"{kind}-0"] = {"0": f"{kind}-00", "123456789abcdef": f"{kind}-2"}
        table[f"{kind}-00"] = {"0": f"{kind}-000", "7": f"{kind}-007", "189abcdef": f"{kind}-3"}
        table[f"{kind}-000"] = {"01234567bef": kind}
        table[f"{kind}-007"] = {"f": kind}
    return table


class Vocabulary:
    """The ordinary tokens of a tokenizer, and the automaton run over each of them from each state.

    A token with a character outside ASCII, or with bytes that are no text by themselves, is legal nowhere: no
    JSON text of a trace has any. Nor is one that holds a whole name: names may not repeat, and only the
    end of a token can close one here.

    Args:
        tokens: the tokenizer's mapping.
        size: width of the model's logits; ids beyond the tokenizer's are legal nowhere.

    Raises:
        CwmTraceError: the model has fewer ids than the tokenizer.
    """

    def __init__(self, tokens: TraceTokens, size: int) -> None:
        if size <= max(tokens.ids.values()):
            raise CwmTraceError(
                f"the model has {size} ids and the tokenizer needs {max(tokens.ids.values()) + 1}: "
                "take the tokenizer of this checkpoint"
            )
        self.size = size
        self.texts = [_text(tokens, number) for number in range(size)]
        """Text of each token; empty for special ones, those that no trace has included."""

    @cached_property
    def after(self) -> npt.NDArray[np.int8]:
        """State after each token from each state, `DEAD` where it is illegal, `(states, size)`."""
        return self._tables[0]

    @cached_property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """Legal ids by row, `(4 * states, size)`: all, `SHORTEST`, and both again with `NO_MORE`."""
        legal = np.concatenate((self.after != DEAD, self.shortest))
        fewer = legal & ~np.tile(self._tables[2], (2, 1))
        return np.concatenate((legal, fewer))

    @cached_property
    def rows(self) -> list[Legal]:
        """What each row of `allowed` says."""
        few = self.allowed.sum(axis=1) <= _FEW
        return [
            Legal(tuple(np.flatnonzero(row).tolist())) if few[number] else Legal(None, number)
            for number, row in enumerate(self.allowed)
        ]

    @cached_property
    def shortest(self) -> npt.NDArray[np.bool_]:
        """Legal tokens that come closer to the end of the JSON text, from each state, `(states, size)`."""
        after, closes, _ = self._tables
        distance = _distances()
        nearer = distance[after] < distance[np.arange(len(STATES))][:, None]
        nearer &= after != DEAD
        fallback = after != DEAD
        some = (nearer | closes).any(axis=1, keepdims=True)
        result: npt.NDArray[np.bool_] = np.where(some, (nearer | closes) & fallback, fallback)
        return result

    @cached_property
    def _tables(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """`after`; whether the token leaves the string that the state is inside of; or asks for a name."""
        usable = [text if text.isascii() else "" for text in self.texts]
        lengths = np.array([len(text) for text in usable])
        width = max(int(lengths.max(initial=0)), 1)
        codes = np.zeros((self.size, width), dtype=np.uint8)
        for number, text in enumerate(usable):
            codes[number, : len(text)] = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
        step = _step_table()
        state = np.repeat(np.arange(len(STATES), dtype=np.int8)[:, None], self.size, axis=1)
        closes = np.zeros_like(state, dtype=np.bool_)
        opened = np.zeros_like(closes)  # a name begins inside the token
        asks = np.zeros_like(closes)
        for place in range(width):
            live = np.flatnonzero(place < lengths)
            if not live.size:
                break
            before = state[:, live]
            now = step[before, codes[live, place]]
            closes[:, live] |= _IN_STRING[before] & ~_IN_STRING[now]
            whole_name = opened[:, live] & (now == INDEX["colon"])
            opened[:, live] |= now == INDEX["name-start"]
            asks[:, live] |= now == INDEX["comma-space"]
            state[:, live] = np.where(whole_name, DEAD, now)
        state[:, lengths == 0] = DEAD
        return state, closes & (state != DEAD), asks

    @cached_property
    def in_order(self) -> Sequence[tuple[str, int]]:
        """Text and id of every token that JSON texts may have, in the order of their texts."""
        usable = (self.after != DEAD).any(axis=0)
        return sorted((text, number) for number, text in enumerate(self.texts) if text and usable[number])

    @cached_property
    def quoted(self) -> Sequence[int]:
        """Tokens with a quote in them."""
        return [number for number, text in enumerate(self.texts) if '"' in text]

    def longer(self, text: str) -> Iterator[str]:
        """Texts of tokens that begin with this one and go on."""
        for at in range(bisect_right(self._sorted, text), len(self._sorted)):
            if not self._sorted[at].startswith(text):
                return
            yield self._sorted[at]

    @cached_property
    def longest(self) -> int:
        """Characters of the longest token that JSON texts may have."""
        return max(map(len, self._sorted), default=0)

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted({text for text, _ in self.in_order})

    @cached_property
    def closing(self) -> Mapping[str, tuple[int, ...]]:
        """Tokens that end a name, by what they add to it before its quote."""
        found: dict[str, list[int]] = {}
        for number, text in enumerate(self.texts):
            before, quote, _ = text.partition('"')
            if quote and self.after[INDEX["name"], number] != DEAD:
                found.setdefault(before, []).append(number)
        return {before: tuple(numbers) for before, numbers in found.items()}


def _text(tokens: TraceTokens, number: int) -> str:
    text = tokens.decode([number])
    is_special = number in tokens.specials or (_SPECIAL.fullmatch(text) and tokens.encode(text) != [number])
    return "" if is_special else text


def _step_table() -> npt.NDArray[np.int8]:
    """Next state by state and character, `(states + 1, 128)`; the last row, -1, is the dead state."""
    step = np.full((len(STATES) + 1, 128), DEAD, dtype=np.int8)
    for state, edges in _transitions().items():
        for characters, after in edges.items():
            for character in characters:
                step[INDEX[state], ord(character)] = INDEX[after]
    return step


def _distances() -> npt.NDArray[np.int16]:
    """Characters to the end of the JSON text at least, by state; the last entry is the dead state's."""
    distance = np.full(len(STATES) + 1, 10_000, dtype=np.int16)
    distance[[INDEX["locals-end"], INDEX["value-end"]]] = 0
    for _ in STATES:
        for state, edges in _transitions().items():
            nearest = min(distance[INDEX[after]] for after in edges.values())
            distance[INDEX[state]] = min(distance[INDEX[state]], nearest + 1)
    return distance


_IN_STRING = np.array(
    [name.startswith(("text", "string")) and name != "text-quote" for name in STATES] + [False]
)

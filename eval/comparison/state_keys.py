"""States as keys: what changes on each side, and in which variables the two sides differ.

A step costs as much as its changes, however many variables are bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cwm_trace.eval.comparison.equality import Equality, value_key
from cwm_trace.records import UNCHANGED, Event, Frame, Slot

Keys = Mapping[str, str | None]
"""Changed variables with the keys (`value_key`) of their new values; None: no longer bound."""

_STATEFUL = (Event.CALL, Event.LINE)
_NO_KEYS: Keys = {}
_NO_NAMES: frozenset[str] = frozenset()


class StateKeys:
    """Both sides' states as keys, and in which variables two activations differ.

    Args:
        level: of equality.
        block: predicted frames between two returns to the true history; 0: none ever.
    """

    def __init__(self, level: Equality, block: int) -> None:
        self._level = level
        self._block = block
        self._real: dict[int, SlotKeys] = {}
        self._predicted: dict[int, SlotKeys] = {}
        self._matches: dict[tuple[int, int], KeyMatch] = {}
        self._bases: dict[int, dict[str, str]] = {}  # true states at the start of the block
        self._touched: set[int] = set()  # predicted activations that the block has shown

    def start_block(self) -> None:
        """From here on the prediction continues the true history."""
        self._bases.clear()
        self._touched.clear()

    def advance(self, a: Frame | None, b: Frame | None) -> tuple[frozenset[str], Keys, Keys]:
        """The variables in which the states of two frames differ, and what changed in each."""
        ours = theirs = None
        if a is not None and a.event in _STATEFUL:
            ours = self._real.get(a.activation)
            if ours is None:
                ours = self._real[a.activation] = SlotKeys()
        if b is not None and b.event in _STATEFUL:
            theirs = self._predicted.get(b.activation)
            if theirs is None:
                theirs = self._predicted[b.activation] = SlotKeys()
        base: Keys | None = None
        if self._block and theirs is not None and b is not None:
            base = self._base(a, b, theirs)
        real_changes: Keys = _NO_KEYS
        changes: Keys = _NO_KEYS
        if ours is not None and a is not None and a.changed:
            if self._block > 1 and a.activation not in self._bases:
                self._bases[a.activation] = dict(ours.keys)
            real_changes = ours.update(a.changed, self._level, None)
        if theirs is not None and b is not None:
            if b.changed:
                changes = theirs.update(b.changed, self._level, ours)
            if base is not None:
                changes = _difference(base, theirs.keys)
        if ours is None or theirs is None or a is None or b is None:
            return _NO_NAMES, real_changes, changes
        return self._match(a.activation, b.activation).differing(ours, theirs), real_changes, changes

    def _base(self, a: Frame | None, b: Frame, theirs: SlotKeys) -> Keys | None:
        """The true last state of the predicted frame's activation, at its first frame in the block.

        Of what can differ from the predicted state alone where every frame is a block. A prediction that
        differs from the truth in the event is of another activation, which it numbers as the truth does.
        """
        at = a.activation if a is not None and a.event is b.event else b.activation
        if self._block > 1:
            if b.activation in self._touched:
                return None
            self._touched.add(b.activation)
        truth = self._real.get(at)
        known = {} if truth is None else truth.keys
        if self._block > 1 or truth is None:
            return {**dict.fromkeys([*theirs.keys, *b.changed]), **self._bases.get(at, known)}
        names = self._match(at, b.activation).differing(truth, theirs)
        return {name: truth.keys.get(name) for name in (names | b.changed.keys() if names else b.changed)}

    def _match(self, real: int, predicted: int) -> KeyMatch:
        match = self._matches.get((real, predicted))
        if match is None:
            match = self._matches[real, predicted] = KeyMatch()
        return match


class SlotKeys:
    """The last state of one activation: keys and types by name, and a log of changed names."""

    __slots__ = ("keys", "log", "types")

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.log: list[str] = []
        self.types: dict[str, str] = {}

    def update(self, changed: Mapping[str, Slot | None], level: Equality, real: SlotKeys | None) -> Keys:
        """Apply changes; those that change a key. A prediction has the types of the `real` values."""
        keys = self.keys
        found: dict[str, str | None] = {}
        plain = level is not Equality.TYPED
        types = self.types if real is None else real.types
        self.log.extend(changed)
        for name, slot in changed.items():
            if slot is None:
                if keys.pop(name, None) is not None:
                    found[name] = None
                continue
            text = slot.text
            if real is None:
                types[name] = slot.type
            if plain and " " not in text and text != UNCHANGED:  # as most texts are
                key = text
            else:
                key = value_key(text, types.get(name, slot.type), level)
            if keys.get(name) != key:
                keys[name] = found[name] = key
        return found

    def apply(self, changed: Keys) -> None:
        """Apply changes that are keys already."""
        self.log.extend(changed)
        for name, key in changed.items():
            if key is None:
                self.keys.pop(name, None)
            else:
                self.keys[name] = key


class KeyMatch:
    """In which variables an activation of each side differ; kept up to date from their logs."""

    __slots__ = ("_left", "_names", "_right", "_shown")

    def __init__(self) -> None:
        self._left = self._right = 0
        self._names: set[str] = set()
        self._shown = _NO_NAMES

    def differing(self, left: SlotKeys, right: SlotKeys) -> frozenset[str]:
        """The variables whose keys differ, or that only one side has."""
        if self._left == len(left.log) and self._right == len(right.log):
            return self._shown
        names = self._names
        news = len(left.log) - self._left + len(right.log) - self._right
        looked_at: Iterable[str]
        if news > len(left.keys) + len(right.keys):  # two that met late, or long ago
            looked_at = {*names, *left.keys, *right.keys}
        else:
            changed, others = left.log[self._left :], right.log[self._right :]
            looked_at = changed if changed == others else changed + others
        for name in looked_at:
            key = right.keys.get(name)
            if key == left.keys.get(name):
                names.discard(name)
            else:
                names.add(name)
        self._left, self._right = len(left.log), len(right.log)
        if names or self._shown:
            self._shown = frozenset(names)
        return self._shown


def _difference(before: Keys, after: Mapping[str, str]) -> Keys:
    """What changed of the names in `before`; None there and here: not bound."""
    return {name: after.get(name) for name, key in before.items() if after.get(name) != key}

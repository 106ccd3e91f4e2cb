"""Whether what a statement does follows from the texts of a state: objects may have several names there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_CONTAINERS = (list, dict)


class Watched:
    """The containers in the values of a state, as they are now.

    Args:
        values: literals.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        values = list(values)
        self.holds_set = any(map(_holds_set, values))
        """Whether there is a set, whose order can show and stands in no text."""
        self._items = [(item, _content(item), repr(item)) for item in _containers(values)]

    def may_be_shared(self) -> bool:
        """Whether an object that has changed looked like another one: in the real run it may be that one."""
        changed = [text for item, content, text in self._items if _content(item)[0] != content[0]]
        return any(sum(text == other for _, _, other in self._items) > 1 for text in changed)


def _holds_set(value: Any) -> bool:
    if isinstance(value, (set, frozenset)):
        return True
    if isinstance(value, dict):
        return any(map(_holds_set, value)) or any(map(_holds_set, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_set, value))


def _containers(values: list[Any]) -> list[Any]:
    found, stack = [], list(values)
    while stack:
        value = stack.pop()
        if isinstance(value, _CONTAINERS):
            found.append(value)
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
    return found


def _content(item: Any) -> Any:
    """What an object holds, by identity, and the parts themselves so that they live as long as this."""
    if isinstance(item, dict):
        return [(id(key), id(value)) for key, value in item.items()], list(item.items())
    return [id(part) for part in item], list(item)

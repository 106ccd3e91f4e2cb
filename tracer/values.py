"""Values as text: `repr`, guarded against everything a program's own `__repr__` may do."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable
from gc import get_referents
from typing import Any

from cwm_trace.records import SlotFields
from cwm_trace.tracer.expansion import expand
from cwm_trace.tracer.interrupts import PROGRAM_CALLS, was_sent

ATOMS = frozenset([int, str, float, bool, type(None), bytes, complex, type(...)])
"""Types whose objects never change and hold nothing of the user's: keeping one alive changes no program."""

CONTAINERS = frozenset([list, dict, set, tuple, frozenset, bytearray])

_SIZED: frozenset[type] = frozenset([str, bytes, range]) | CONTAINERS
_SCALARS: frozenset[type] = frozenset([int, float, bool, type(None)])
_BUILT_IN = {kind: kind.__name__ for kind in _SCALARS | _SIZED}
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_CONSTRUCTOR = re.compile(r"\w\(")


_NAME, _QUALNAME, _MODULE = (
    type.__dict__[name].__get__ for name in ("__name__", "__qualname__", "__module__")
)
"""Attributes of a type, whatever its metaclass makes of them."""

_exact: Callable[[str], str] = str.__str__
"""A `str` from one of a subclass, whose methods may be anything."""


class TimeLimitReached(BaseException):
    """Raised inside a program that runs longer than it may."""


class Describer:
    """Values as text, and as the fields of a slot.

    Args:
        max_chars: characters of text that are kept; the number cut off is recorded.
        keep_addresses: leave ` at 0x…` in; without it traces of the same program repeat.
        expand_objects: how many objects deep state is shown instead of `repr`; 0: not at all.
    """

    __slots__ = ("expand_objects", "keep_addresses", "max_chars")

    def __init__(
        self, *, max_chars: int | None = None, keep_addresses: bool = False, expand_objects: int = 0
    ) -> None:
        self.max_chars = max_chars
        self.expand_objects = expand_objects
        self.keep_addresses = keep_addresses

    def text(self, value: Any) -> str:
        """The whole text; of an int too long for `repr` in hexadecimal, which has no limit (gh-95778)."""
        if type(value) in ATOMS:  # their own `repr` runs no code of the program and gives valid Unicode
            try:
                return repr(value)
            except ValueError:
                return hex(value)
        if self.expand_objects and take_image(value) is None:  # a container of plain values needs no care
            text = expand(value, self.expand_objects, safe_repr)
        else:
            text = safe_repr(value)
        if not self.keep_addresses and " at 0x" in text and type(value) is not bytearray:
            return _not_the_wires(_ADDRESS.sub("", text))
        return text

    def fields(self, value: Any, text: str) -> SlotFields:
        """Text, type and size; the text is clipped if it is too long."""
        kind = type(value)
        fields: SlotFields
        if kind is int:
            fields = {"text": text, "type": "int", "size": value.bit_length()}
        else:
            fields = {"text": text, "type": _BUILT_IN.get(kind) or type_name(kind)}
            if kind in _SIZED:
                try:
                    fields["size"] = len(value)
                except OverflowError:  # a range of more elements than a machine word counts
                    fields.pop("size", None)
        if self.max_chars is not None and len(text) > self.max_chars:
            fields["clipped"] = len(text) - self.max_chars
            fields["text"] = text[: self.max_chars]
        return fields

    def describe(self, value: Any) -> SlotFields:
        """Both in one."""
        return self.fields(value, self.text(value))


def safe_repr(value: Any) -> str:
    """`repr(value)` as valid Unicode that is not `..`, whatever happens.

    A `repr` that raises gives `<unrepresentable TYPE: ERROR>`. Interrupts are the user's and go through.
    """
    try:
        text = repr(value)
        if type(text) is not str:
            text = _exact(text)
    except (KeyboardInterrupt, TimeLimitReached):
        raise
    except BaseException as error:  # SystemExit, RecursionError, and whatever else a program may raise
        if was_sent(error):
            raise
        return unrepresentable(value, error)
    if text.isascii():
        return text if text != ".." else _not_the_wires(text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def unrepresentable(value: object, error: BaseException) -> str:
    """What stands for a value whose `repr` has raised."""
    return f"<unrepresentable {bare_name(type(value))}: {bare_name(type(error))}>"


def unprintable(error: object, failure: BaseException) -> str:
    """What stands for the `str` of an exception, which has raised."""
    return f"<unprintable {bare_name(type(error))}: {bare_name(type(failure))}>"


def _not_the_wires(text: str) -> str:
    """The wire's `..` means unchanged."""
    return "<..>" if text == ".." else text


def safe_str(error: BaseException) -> str:
    """`str(error)`, guarded like `safe_repr`."""
    try:
        text = _exact(str(error))
    except (KeyboardInterrupt, TimeLimitReached):
        raise
    except BaseException as failure:
        if was_sent(failure):
            raise
        return unprintable(error, failure)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


PROGRAM_CALLS.update([safe_repr.__code__, safe_str.__code__])


def bare_name(kind: type) -> str:
    """`__name__` of a type, whatever its metaclass makes of that."""
    name: str = _NAME(kind)
    return name


def type_name(kind: type) -> str:
    """Qualified name of a type, without the module for built-in ones."""
    name: str = _QUALNAME(kind)
    try:
        module = _MODULE(kind)
    except AttributeError:
        return name
    return name if type(module) is not str or module == "builtins" else f"{module}.{name}"


def take_image(value: Any) -> bytes | None:
    """A container of plain values as bytes, several times cheaper than its text; None where it holds others.

    Runs no code of the program. As long as an `is_plain` container gives the same bytes, its text is the
    same too.
    """
    try:
        if type(value) in CONTAINERS and not _comes_to_an_end(value):
            return None
        return marshal.dumps(value, 2)  # version 2 has no references: equal values give equal bytes
    except ValueError:
        return None


def _comes_to_an_end(container: Any) -> bool:
    """Whether nothing in a container contains itself: `marshal` would go around 2,000 levels, on every way.

    What lies deeper than a few levels, or is very much, is taken for that as well.
    """
    inner = get_referents(*(container.values() if type(container) is dict else container))
    for _ in range(_MOST_LEVELS):
        if not inner:
            return True
        if len(inner) > _MOST_PARTS or type in map(type, inner[:_SAMPLED]):  # objects lead to their classes
            return False
        inner = get_referents(*inner)
    return not inner


_MOST_LEVELS = 6
_MOST_PARTS = 100_000
_SAMPLED = 50


def is_plain(text: str) -> bool:
    """Whether a text shows literals only and no bytes, which `marshal` does not tell from arrays."""
    if "<" in text or "b'" in text or 'b"' in text:
        return False
    return "(" not in text or not _CONSTRUCTOR.search(text)

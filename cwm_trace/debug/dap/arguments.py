"""Arguments of a request: anything may come; each is taken as what it must be, or refused in a sentence."""

from __future__ import annotations

from typing import Any

from cwm_trace.errors import CwmTraceError


class Arguments:
    """The arguments of a request.

    Args:
        command: the request's name, for what is said of them.
        data: as they came.
    """

    def __init__(self, command: str, data: Any) -> None:
        self.command = command
        self._data: dict[str, Any] = data if isinstance(data, dict) else {}

    def integer(self, name: str, default: int | None = None) -> int:
        """A number.

        Raises:
            CwmTraceError: it is none, or is missing and has no default.
        """
        value = self._data.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
            raise self._wrong(name, value, "a number")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text.

        Raises:
            CwmTraceError: as `integer`.
        """
        value = self._data.get(name)
        value = default if value is None else value
        if not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def number(self, name: str, default: float) -> float:
        """A number that need not be whole.

        Raises:
            CwmTraceError: it is none.
        """
        value = self._data.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, value, "a number")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Yes or no.

        Raises:
            CwmTraceError: it is neither.
        """
        value = self._data.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty if it is missing.

        Raises:
            CwmTraceError: it is none.
        """
        value = self._data.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(name, value, "a list of texts")
        return value

    def each(self, name: str) -> list[Arguments]:
        """A list of objects; empty if it is missing.

        Raises:
            CwmTraceError: it is none.
        """
        value = self._data.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._wrong(name, value, "a list of objects")
        return [Arguments(self.command, each) for each in value]

    def part(self, name: str) -> Arguments:
        """An object; an empty one if it is missing."""
        return Arguments(self.command, self._data.get(name))

    def has(self, name: str) -> bool:
        """Whether it is given."""
        return self._data.get(name) is not None

    def _wrong(self, name: str, value: Any, what: str) -> CwmTraceError:
        given = "is missing" if value is None else f"is {value!r:.60}"
        return CwmTraceError(f"{self.command}: {name} {given}: it must be {what}")

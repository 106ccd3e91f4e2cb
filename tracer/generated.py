"""Code without a file: the text after `-c`, what a program gives to `exec`, what a library generates.

All of it may be called `<string>`. The program's own is known by its code objects; that of `exec` and `eval`
by who runs it: recorded code, not a library such as `dataclasses`.
"""

from __future__ import annotations

import sys
from types import CodeType

from cwm_trace.records import SourceFile

SHARED_NAME = "<string>"
"""The file name that `-c`, `exec`, and the standard library's code generators all use."""


class GeneratedCode:
    """Code objects by the number of the source file that they belong to."""

    def __init__(self) -> None:
        self.numbers: dict[SourceFile, int] = {}
        """Of texts that `exec` and `eval` ran."""
        self._codes: dict[int, tuple[CodeType, int]] = {}
        """By the code's id; the code is held so that no other gets that id."""
        self._compiled: dict[str, str] = {}

    def adopt(self, code: CodeType, number: int) -> None:
        """Count `code` and all that is defined in it to source file `number`."""
        self._codes[id(code)] = code, number
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self.adopt(constant, number)

    def number_of(self, code: CodeType) -> int | None:
        """The number of its source file; None if it was not adopted."""
        known = self._codes.get(id(code))
        return known and known[1]

    def source_of(self, filename: str) -> SourceFile:
        """The text that was compiled last under this name; without a text if nobody listened."""
        return SourceFile(filename, self._compiled.get(filename, ""))

    def listen(self) -> None:
        """From now on keep what is compiled, for `source_of`.

        An audit hook (PEP 578) sees the text; it cannot be removed, so this is for a process that does
        nothing but run the program.
        """
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "compile":
            return
        source, filename = arguments[0], arguments[1]
        if isinstance(filename, bytes):
            filename = filename.decode("utf-8", "replace")
        if isinstance(source, bytes):
            source = source.decode("utf-8", "replace")
        if type(filename) is str and filename.startswith("<") and type(source) is str:
            self._compiled[filename] = source.replace("\r\n", "\n")

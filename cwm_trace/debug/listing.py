"""What a source file says without being run: where lines of code are, and which function is where."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from difflib import get_close_matches
from functools import lru_cache
from types import CodeType

from cwm_trace.debug.timeline import Timeline
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, SourceFile


class Listing:
    """A source file, compiled and never run.

    Args:
        file: its name and text.
    """

    def __init__(self, file: SourceFile) -> None:
        self.name = file.name
        self.lines = file.text.split("\n")
        self.functions: dict[str, int] = {}
        """Qualified names of functions, and the line on which each is called."""
        self.names: dict[int, str] = {}
        """The other way round, lambdas and comprehensions included."""
        code: set[int] = set()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._collect(compile(file.text, file.name, "exec", dont_inherit=True), "", code)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            code = set(range(1, len(self.lines) + 1))  # a predicted or foreign text: any line may be one
        self.code = sorted(code)
        """Lines at which execution can be."""

    def _collect(self, code: CodeType, prefix: str, lines: set[int]) -> None:
        lines.update(line for _, _, line in code.co_lines() if line)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                name = prefix + constant.co_name
                self.names.setdefault(constant.co_firstlineno, name)
                if not constant.co_name.startswith("<"):
                    self.functions.setdefault(name, constant.co_firstlineno)
                lines.add(constant.co_firstlineno)
                self._collect(constant, f"{name}.", lines)

    def line_at(self, line: int) -> int:
        """The line of code at `line`, or the first one behind it.

        Raises:
            CwmTraceError: there is none.
        """
        at = bisect_left(self.code, line)
        if at == len(self.code):
            raise CwmTraceError(f"there is no code at line {line} of {self.name} or behind it")
        return self.code[at]

    def has_function(self, name: str) -> bool:
        """Whether it has a function of this name, or of this last part of its name."""
        return any(known == name or known.endswith(f".{name}") for known in self.functions)

    def function(self, name: str) -> int:
        """The line on which a function of this name, or of this last part of its name, is called.

        Raises:
            CwmTraceError: there is none.
        """
        if name in self.functions:
            return self.functions[name]
        for qualified, line in self.functions.items():
            if qualified.endswith(f".{name}"):
                return line
        close = get_close_matches(name, list(self.functions), 1)
        hint = f": did you mean {close[0]}?" if close else ""
        raise CwmTraceError(f"{self.name} has no function {name}{hint}")


@lru_cache(maxsize=64)
def list_file(file: SourceFile) -> Listing:
    """The listing of a file, made once."""
    return Listing(file)


def name_of(timeline: Timeline, index: int) -> str:
    """The name of the function that a frame is in; `<module>` for a module, `?` where it is not known."""
    at = timeline.frames_of(index)[0]
    first, program = timeline.frames[at], timeline.program
    if at == 0:
        return program.entry
    if first.event is not Event.CALL or first.file >= len(program.files):
        return "?"
    # the call of a module is on line 0, or on line 1 (see `MODULE_CALL_HAS_NO_LINE`)
    found = list_file(program.files[first.file]).names.get(first.line)
    return found or ("<module>" if first.line <= 1 else "?")

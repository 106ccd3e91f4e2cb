"""Which line a predicted source text means: texts repeat, so the stack decides.

The line is looked for in the current function first: where the program goes back to, such as the head of the
loop that it is in; then at or after the line before; then before it; then in the rest of the program.
"""

from __future__ import annotations

from bisect import bisect_right

from cwm_trace.wire.functions import Function, Span, find_functions
from cwm_trace.wire.going_back import find_ways_back


class LineResolver:
    """Line numbers of source texts in one program."""

    def __init__(self, lines: list[str]) -> None:
        self._texts = lines
        self._lines: dict[str, list[int]] = {}
        for number, line in enumerate(lines, start=1):
            self._lines.setdefault(line, []).append(number)
        self._whole: Span = (1, len(lines))
        text = "\n".join(lines).replace("\r", " ")  # which Python would take for a line ending
        self._functions = find_functions(text)
        self._back = find_ways_back(text)
        self._starting: dict[int, list[Function]] = {}
        for function in self._functions:
            self._starting.setdefault(function.span[0], []).append(function)

    def __contains__(self, source: str) -> bool:
        return source in self._lines

    def span(self, line: int) -> Span:
        """The function whose definition starts on `line`, else the innermost one around it, else all."""
        spans = [one.span for one in self._starting.get(line) or self._functions]
        around = [span for span in spans if span[0] <= line <= span[1]]
        return min(around, key=lambda span: span[1] - span[0], default=self._whole)

    def functions(self, line: int) -> list[Function]:
        """The functions, classes, lambdas and comprehensions that are defined from `line` on."""
        return self._starting.get(line, [])

    def within(self, source: str, span: Span | None) -> bool:
        """Whether `span` has such a line; None: the whole program."""
        first, last = span or self._whole
        return any(first <= line <= last for line in self._lines.get(source, []))

    def follow(self, source: str, span: Span | None, at: int) -> int:
        """The line that the LINE `source` means after another; 0 if the program has no such line.

        Args:
            source: the text of a line.
            span: the current function; None: the whole program.
            at: the line of the frame before in that function.
        """
        first, last = span or self._whole
        for line in self._back.get(at, ()):
            if first <= line <= last and self._texts[line - 1] == source:
                return line
        return self.resolve(source, span, at)

    def resolve(self, source: str, span: Span | None = None, after: int = 0) -> int:
        """The line that `source` means; 0 if the program has no such line.

        Args:
            source: the text of a line.
            span: the current function; None: the whole program.
            after: the line before in that function.
        """
        lines = self._lines.get(source, [])
        first, last = span or self._whole
        inside = [line for line in lines if first <= line <= last]
        candidates = inside or lines
        if not candidates:
            return 0
        following = bisect_right(candidates, after)
        return candidates[following] if following < len(candidates) else candidates[following - 1]

"""Which line a predicted source text means: texts repeat, so the stack decides.

The line is looked for in the current function first, at or after the line before; then before it; then
in the rest of the program.
"""

from __future__ import annotations

import ast
from bisect import bisect_right

Span = tuple[int, int]
"""First and last line, both included."""


class LineResolver:
    """Line numbers of source texts in one program."""

    def __init__(self, lines: list[str]) -> None:
        self._lines: dict[str, list[int]] = {}
        for number, line in enumerate(lines, start=1):
            self._lines.setdefault(line, []).append(number)
        self._whole: Span = (1, len(lines))
        text = "\n".join(lines).replace("\r", " ")  # which Python would take for a line ending
        self._functions = _function_spans(text)

    def __contains__(self, source: str) -> bool:
        return source in self._lines

    def span(self, line: int) -> Span:
        """The function whose definition starts on `line`, else the innermost one around it, else all."""
        around = [span for span in self._functions if span[0] <= line <= span[1]]
        starting = [span for span in around if span[0] == line]
        return min(starting or around, key=lambda span: span[1] - span[0], default=self._whole)

    def starts_function(self, line: int) -> bool:
        """Whether a function, class or lambda is defined from `line` on."""
        return any(span[0] == line for span in self._functions)

    def within(self, source: str, span: Span | None) -> bool:
        """Whether `span` has such a line; None: the whole program."""
        first, last = span or self._whole
        return any(first <= line <= last for line in self._lines.get(source, []))

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


def _function_spans(text: str) -> list[Span]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    spans = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            spans.append((first, node.end_lineno or node.lineno))
        elif isinstance(node, ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
            spans.append((node.lineno, node.end_lineno or node.lineno))
    return spans

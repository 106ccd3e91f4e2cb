"""Examples of docstrings: each `>>> f(3)` is a call of a function of its file."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.script_files import read_files


def load_doctests(path: str) -> Iterator[Item]:
    """Every example that is an expression, with the examples before it as its setting.

    An example such as `>>> x = 3` is put behind the file's text for those that follow it in its docstring.
    What an example expects is not compared where doctest's options (`ELLIPSIS`, …) would have to be followed.

    Args:
        path: a Python file, or a folder of them.

    Raises:
        CwmTraceError: there is no such file, or one cannot be read.
    """
    parser = doctest.DocTestParser()
    for name, source in read_files(path):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):  # null characters, up to 3.11
            continue
        for number, docstring in enumerate(_docstrings(tree)):
            setting = ""
            try:
                examples = parser.get_examples(docstring)
            except ValueError:  # a malformed docstring
                continue
            for place, example in enumerate(examples):
                if not _is_expression(example.source):
                    setting += example.source
                    continue
                want = example.want.rstrip("\n")
                is_exact = bool(want) and not example.options and not example.exc_msg and _is_literal(want)
                yield Item(
                    f"doctest/{name}/{number}/{place}",
                    source + setting,
                    example.source.strip(),
                    "doctest",
                    expected=want if is_exact else None,
                )


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and ">>>" in text:
                yield text


def _is_expression(source: str) -> bool:
    try:
        ast.parse(source.strip(), mode="eval")
    except SyntaxError:
        return False
    return "\n" not in source.strip()


def _is_literal(text: str) -> bool:
    """Whether what is expected is the `repr` of a literal, and not something printed."""
    try:
        return repr(ast.literal_eval(text)) == text
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False

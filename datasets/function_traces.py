"""From one recording to a trace of each function that was called in it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cwm_trace.records import FrameFields, SourceFile


@dataclass(frozen=True, slots=True)
class FunctionTrace:
    """The call of one function, with all that was called below it.

    Args:
        files: source files; the first one holds the function.
        name: qualified name of the function.
        line: of its definition.
        frames: from its CALL to its RETURN, numbered as if nothing else had been recorded.
        raised: an exception left it.
    """

    files: tuple[SourceFile, ...]
    name: str
    line: int
    frames: list[FrameFields]
    raised: bool


def split_functions(files: Sequence[SourceFile], frames: Sequence[FrameFields]) -> Iterator[FunctionTrace]:
    """Every call of a function that has returned, in the order of the returns.

    Left out are generators, whose frames lie apart; what resumes one that was begun outside, whose
    variables are not all known there; and code that is no function: modules, class bodies, lambdas,
    comprehensions.
    """
    names = [_function_names(file.text) for file in files]
    calls = Counter(frame["activation"] for frame in frames if frame["event"] == "call")
    first_calls = {frame["activation"]: frame for frame in reversed(frames) if frame["event"] == "call"}
    open_calls: dict[int, tuple[int, int]] = {}
    threads: dict[int, list[FrameFields]] = {}
    for frame in frames:
        thread = threads.setdefault(frame.get("thread", 0), [])
        activation = frame["activation"]
        if frame["event"] == "call" and calls[activation] == 1:
            open_calls[activation] = len(thread), frame.get("file", 0)
        thread.append(frame)
        if frame["event"] == "return" and activation in open_calls:
            start, file = open_calls.pop(activation)
            name = names[file].get(thread[start]["line"])
            segment = thread[start:]
            if name is not None and _is_closed(segment, first_calls):
                kept, numbered = _renumber(segment)
                yield FunctionTrace(
                    tuple(files[number] for number in kept),
                    name,
                    segment[0]["line"],
                    numbered,
                    "value" not in frame,
                )


def _is_closed(segment: Sequence[FrameFields], first_calls: dict[int, FrameFields]) -> bool:
    """Whether every activation in it begins in it."""
    begun = set()
    for frame in segment:
        if first_calls.get(frame["activation"]) is frame:
            begun.add(frame["activation"])
        elif frame["activation"] not in begun:
            return False
    return True


def _renumber(segment: Sequence[FrameFields]) -> tuple[list[int], list[FrameFields]]:
    """The files that it uses; its frames with activations, files and depths counted from its own start."""
    activations: dict[int, int] = {}
    files: dict[int, int] = {}
    numbered = []
    for frame in segment:
        fields = frame.copy()
        fields["activation"] = activations.setdefault(frame["activation"], len(activations))
        fields["depth"] = frame["depth"] - segment[0]["depth"]
        file = files.setdefault(frame.get("file", 0), len(files))
        fields.pop("thread", None)
        fields.pop("file", None)
        if file:
            fields["file"] = file
        numbered.append(fields)
    return list(files), numbered


def _function_names(text: str) -> dict[int, str]:
    """Qualified names of functions by the line that their CALL shows: that of the first decorator."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return dict(_named(tree, ""))


def _named(node: ast.AST, prefix: str) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield min([child.lineno, *(each.lineno for each in child.decorator_list)]), prefix + child.name
            inner = f"{prefix}{child.name}.<locals>."
        elif isinstance(child, ast.ClassDef):
            inner = f"{prefix}{child.name}."
        yield from _named(child, inner)

"""What runs a single statement inside of the sandbox, and tells whether its outcome follows from the texts.

The text of this module is sent into the child: it imports nothing but the standard library.
"""

from __future__ import annotations

import ast
import builtins
import signal
import sys
import warnings
from typing import Any

_MAX_CHARS = 1 << 20  # of one value
_CONTAINERS = (list, dict)


def run_step(
    source: str, is_expression: bool, state: dict[str, str], allowed: list[str], seconds: float
) -> dict[str, Any] | None:
    """Run a statement or an expression from a state of literals.

    Returns:
        `error`: the `repr` of what was raised, or None; `value`: the `repr` of an expression's value, `true`:
        whether it is true; `changed`: new texts of variables. None where that does not follow from the texts:
        there is a set, whose order can show, or an object changed that may have another name.
    """
    sys.settrace(None)  # only builtins run: there is nothing to count
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)  # ends this process, wherever it is
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _run(source, is_expression, state, allowed)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError):
        return None  # a value that has no text
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _run(
    source: str, is_expression: bool, state: dict[str, str], allowed: list[str]
) -> dict[str, Any] | None:
    values = {name: ast.literal_eval(text) for name, text in state.items()}
    if any(_holds_set(value) for value in values.values()):
        return None
    before = {name: repr(value) for name, value in values.items()}
    watched = [(item, _content(item), repr(item)) for item in _containers(list(values.values()))]
    space = {"__builtins__": {name: getattr(builtins, name) for name in allowed}, **values}
    result: dict[str, Any] = {"error": None, "value": None, "true": None, "changed": {}}
    try:
        if is_expression:
            value = eval(compile(source, "<step>", "eval", dont_inherit=True), space)
            result["true"] = bool(value)
            result["value"] = repr(value)
        else:
            exec(compile(source, "<step>", "exec", dont_inherit=True), space)
    except Exception as error:
        result["error"] = repr(error)
    del space["__builtins__"]
    if _may_be_shared(watched):
        return None
    for name, value in space.items():
        text = repr(value)
        if before.get(name) != text:
            result["changed"][name] = text
    if any(len(text) > _MAX_CHARS for text in [*result["changed"].values(), result["value"] or ""]):
        return None
    return result


def _holds_set(value: Any) -> bool:
    """Whether the order of a set can show."""
    if isinstance(value, (set, frozenset)):
        return True
    if isinstance(value, dict):
        return any(map(_holds_set, value)) or any(map(_holds_set, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_set, value))


def _containers(values: list[Any]) -> list[Any]:
    found, stack = [], values
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


def _may_be_shared(watched: list[tuple[Any, Any, str]]) -> bool:
    """Whether an object that changed looks like another one: in the real run it may be that one."""
    changed = [text for item, content, text in watched if _content(item)[0] != content[0]]
    return any(sum(text == other for _, _, other in watched) > 1 for text in changed)

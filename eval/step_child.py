"""The process that runs single statements: jobs in, results out, a JSON text per line.

It is run by its path and imports nothing but the standard library. A job is `{"source", "is_test", "state"}`
with `is_test` for an expression; a result is null where the outcome does not follow from the state's texts: a
changed object that may have another name, a text that is no literal. See `cwm_trace.eval.local_steps`.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import resource
import sys
import warnings
from typing import Any

_MAX_BYTES = 1 << 30  # of memory
_MAX_CHARS = 1 << 20  # of one value
_CONTAINERS = (list, dict, set, bytearray)


def run_step(
    source: str, is_expression: bool, state: dict[str, str], allowed: list[str]
) -> dict[str, Any] | None:
    """Run a statement or an expression from a state.

    Returns:
        `error`: the `repr` and the message of what was raised, or null; `value`: `repr` of an expression's
        value, `true`: whether it is true; `changed`: new texts of variables.
    """
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
        result["error"] = [repr(error), str(error)]
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
    if isinstance(value, set | frozenset):
        return True
    if isinstance(value, dict):
        return any(map(_holds_set, value)) or any(map(_holds_set, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_set, value))


def _containers(values: list[Any]) -> list[Any]:
    found, stack = [], values
    while stack:
        value = stack.pop()
        if isinstance(value, _CONTAINERS):
            found.append(value)
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)
    return found


def _content(item: Any) -> Any:
    """What an object holds, by identity."""
    if isinstance(item, dict):
        return [(id(key), id(value)) for key, value in item.items()], list(item.items())
    return ([id(part) for part in item], list(item)) if isinstance(item, list) else (bytes(item), None)


def _may_be_shared(watched: list[tuple[Any, Any, str]]) -> bool:
    """Whether an object that changed looks like another one: in the real run it may be that one."""
    changed = [text for item, content, text in watched if _content(item)[0] != content[0]]
    return any(sum(text == other for _, _, other in watched) > 1 for text in changed)


def main() -> None:
    """Serve jobs until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, io.StringIO()
    allowed: list[str] = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        job = json.loads(line)
        try:
            result = run_step(job["source"], job["is_expression"], job["state"], allowed)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError):
            result = None  # a state that is not literal, a value that has no text
        answers.write(json.dumps(result) + "\n")
        answers.flush()
        sys.stdout.seek(0)
        sys.stdout.truncate()


if __name__ == "__main__":
    main()

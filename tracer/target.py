"""What somebody names as a program: source text, the path of a file, or a function of one.

They are told apart here and nowhere else.
"""

from __future__ import annotations

import inspect
import os
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.program import (
    Runnable,
    load_call,
    load_code,
    load_folder,
    load_input,
    load_module,
    load_script,
    read_source,
)

Target = str | os.PathLike[str] | Callable[..., Any]
"""Source text, a path (a `pathlib.Path` is always one), or a function."""


def is_text(target: object, call: str | None = None) -> TypeGuard[str]:
    """Whether a program is named by its text: it has a newline, or comes with a call and is no file."""
    if not isinstance(target, str):
        return False
    is_file = target.endswith(".py") or os.path.exists(target)
    return "\n" in target or (call is not None and not is_file)


def load_target(target: Target, call: str | None = None, arguments: Sequence[str] = ()) -> Runnable:
    """A program by its text, its path, or a function of it.

    Args:
        target: one of them.
        call: an expression such as `f(3)`; None: the whole script.
        arguments: of the script.

    Raises:
        CwmTraceError: it cannot be read or compiled, or is empty; the function has no file.
    """
    if is_text(target, call):
        return load_text(target, call, arguments)
    path = _file_of(target) if callable(target) else os.fspath(target)
    return load_script(path, arguments) if call is None else load_call(read_source(path), call, name=path)


def load_named(
    *,
    path: str = "",
    source: str = "",
    module: str = "",
    call: str = "",
    arguments: Sequence[str] = (),
    name: str = "<source>",
) -> Runnable:
    """A program as a command line or a job names it.

    Args:
        path: of a script, a folder or an archive with a `__main__.py`; `-` is standard input.
        source: text, in the place of a path.
        module: as `python -m` takes it, in the place of both.
        call: an expression such as `f(3)` of what the path or the text defines; empty: all of it.
        arguments: of the program.
        name: what a text with a call is called.

    Raises:
        CwmTraceError: it cannot be found, read or compiled.
    """
    if module:
        return load_module(module, arguments)
    if call:
        return load_call(read_source(path) if path else source, call, name=path or name)
    if not path:
        return load_code(source, arguments)
    if path == "-":
        return load_input(arguments)
    if is_archive(path):
        return load_folder(path, arguments)
    return load_script(path, arguments)


def is_archive(path: str) -> bool:
    """Whether this is a folder or an archive that Python runs the `__main__.py` of."""
    return os.path.isdir(path) or zipfile.is_zipfile(path)


def load_text(text: str, call: str | None = None, arguments: Sequence[str] = ()) -> Runnable:
    """Source text as a script, or a call of a function in it.

    Raises:
        CwmTraceError: it cannot be compiled, or is empty.
    """
    return load_call(text, call) if call else load_code(text, arguments, where="the source text")


def _file_of(function: Callable[..., Any]) -> str:
    try:
        path = inspect.getsourcefile(function)
    except TypeError:
        path = None
    if path is None or not os.path.exists(path):
        name = getattr(function, "__qualname__", repr(function))
        raise CwmTraceError(f"{name} has no Python file: give its source text and a call")
    return path

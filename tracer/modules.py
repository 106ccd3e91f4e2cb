"""Modules that the program would have imported itself, had we not imported others of their names before.

A program may lie beside a `statistics.py` or a `click.py` of its own. Under Python it gets that one; here
another may be in `sys.modules` already, for the tracer's own use or from a program that ran before.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_PACKAGE = __name__.partition(".")[0]
_LOADED_AT_THE_START = frozenset(
    [
        "abc",
        "codecs",
        "encodings",
        "genericpath",
        "io",
        "ntpath",
        "os",
        "posixpath",
        "site",
        "sitecustomize",
        "stat",
        "zipimport",
    ]
)
"""The interpreter has these before it looks at a program, beside those with an underscore."""


@contextmanager
def own_modules(folder: str | None) -> Iterator[None]:
    """While this lasts, modules of whose names `folder` has another one are not known; then they are again.

    Args:
        folder: `sys.path[0]` of the program; None: it has none.
    """
    names = frozenset() if folder is None else frozenset(_others(folder))
    aside = _take_out(names)
    try:
        yield
    finally:
        if names:
            _take_out(names)
            sys.modules.update(aside)


def _others(folder: str) -> Iterator[str]:
    """Names of top-level modules that are loaded, and would be found elsewhere: in `folder`."""
    try:
        entries = os.listdir(folder or os.curdir)
    except OSError:  # a zip file, or nothing
        return
    for name in {entry.partition(".")[0] for entry in entries} & sys.modules.keys():
        if name in _LOADED_AT_THE_START or name in sys.builtin_module_names or name.startswith("_"):
            continue
        spec = importlib.machinery.PathFinder.find_spec(name, [folder or os.getcwd()])
        if spec is None or not spec.has_location or name == _PACKAGE:
            continue
        file = getattr(sys.modules[name], "__file__", None)
        if file is None or os.path.realpath(file) != os.path.realpath(spec.origin or ""):
            yield name


def _take_out(names: frozenset[str]) -> dict[str, ModuleType]:
    """Remove modules of these names, and what is in them, from those that are loaded."""
    if not names:
        return {}
    inner = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in inner}

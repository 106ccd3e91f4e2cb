"""Packages that show names of their modules, and import a module when one of its names is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562).

    Args:
        package: its dotted name.
        homes: the names that it shows, side by side, by the modules below it that have them.

    Returns:
        A function that gives the value of a name. Where a package of somebody else's is missing for that, its
        ImportError says which extra brings it.
    """
    modules = {name: module for module, names in homes.items() for name in names.split()}

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(f"{package}.{modules[name]}"), name)
        except ModuleNotFoundError as error:
            from cwm_trace.extras import explain_missing

            if explain_missing(error):
                raise ImportError(explain_missing(error, f"{package}.{name}")) from error
            raise

    return find

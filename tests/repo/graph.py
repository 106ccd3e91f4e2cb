"""The modules of the package and who imports whom, read off their text."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
FOLDERS = ("cwm_trace", "tracer", "model", "eval", "datasets")
"""Folders of the package; the last four are imported as parts of the first."""

When = Literal["at import", "when called", "for types"]


@dataclass(frozen=True)
class Module:
    """A module: its dotted name, its file, and what it says."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def imports(self) -> list[tuple[When, str]]:
        """What it imports of the package, by when it does."""
        return list(_imports(self.tree, "at import"))

    @cached_property
    def public_names(self) -> set[str]:
        """What its top level defines without an underscore in front."""
        found: set[str] = set()
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(
                    part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
                )
        return {name for name in found if not name.startswith("_")}

    @cached_property
    def exported_names(self) -> set[str]:
        """What stands in its `__all__`."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return set(ast.literal_eval(node.value))
        return set()


def find_modules() -> dict[str, Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py*")):  # does not follow links; a stub is a module in C
            if path.suffix not in (".py", ".pyi"):
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            if folder != "cwm_trace":
                parts = ("cwm_trace", *parts)
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join(parts)] = Module(".".join(parts), path)
    return found


def link_modules(modules: Mapping[str, Module], *kinds: When) -> dict[str, set[str]]:
    """Which modules each one imports.

    Args:
        modules: all that there are.
        kinds: when; imports of any other time are left out.
    """
    links: dict[str, set[str]] = {name: set() for name in modules}
    for name, module in modules.items():
        for when, target in module.imports:
            if when in kinds:
                while target not in modules and "." in target:
                    target = target.rpartition(".")[0]
                if target in modules and target != name:
                    links[name].add(target)
    return links


def find_circles(links: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that need one another (strongly connected components of Tarjan, 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in sorted(links.get(name, ())):
            if other not in order:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], order[other])
        if lowest[name] == order[name]:
            circle = [stack.pop()]
            while circle[-1] != name:
                circle.append(stack.pop())
            if len(circle) > 1:
                circles.append(sorted(circle))

    for name in links:
        if name not in order:
            visit(name)
    return sorted(circles)


def find_namesakes(modules: Mapping[str, Module]) -> dict[str, list[str]]:
    """Modules whose last name another one has too; the names of packages do not count."""
    found = defaultdict(list)
    for name, module in modules.items():
        if not module.is_package:
            found[name.rpartition(".")[2]].append(name)
    return {last: sorted(names) for last, names in sorted(found.items()) if len(names) > 1}


def _imports(node: ast.AST, when: When) -> Iterator[tuple[When, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):  # no import is part of one
            continue
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            names = [f"{child.module}.{alias.name}" for alias in child.names]
        else:
            inner = when
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = "when called"
            elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                inner = "for types"
            yield from _imports(child, inner)
            continue
        yield from ((when, name) for name in names if name.split(".")[0] == "cwm_trace")

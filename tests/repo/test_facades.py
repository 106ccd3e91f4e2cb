"""What is public of a package stands in its `__init__`: type checkers and users see the same names."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module

import pytest

from tests.effort import HANGS
from tests.repo.graph import Module, find_modules


def find_call(module: Module) -> ast.Call | None:
    """The `lazy_names(…)` that is a module's `__getattr__`; None if it has another or none."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__getattr__":
            return node.value if isinstance(node.value, ast.Call) else None
    return None


MODULES = find_modules()
FACADES = {
    name: module
    for name, module in MODULES.items()
    if any(
        ast.unparse(node.targets[0]) == "__getattr__"
        for node in module.tree.body
        if isinstance(node, ast.Assign)
    )
}
"""Modules that show names of others, and import them late."""


def shown_by(name: str) -> tuple[str, dict[str, str]]:
    """The package that a facade is of, and the home of each name there, as it tells `lazy_names`."""
    call = find_call(FACADES[name])
    assert call is not None
    package, homes = map(ast.literal_eval, call.args)
    return package, {each: module for module, names in homes.items() for each in names.split()}


def test_every_part_has_a_facade() -> None:
    lazy = {
        "",
        ".datasets.facade",
        ".debug",
        ".eval",
        ".model",
        ".model.predict",
        ".predict",
        ".tracer",
        ".wire",
    }
    assert set(FACADES) == {f"cwm_trace{name}" for name in lazy}
    eager = {".flow", ".viewer", ".eval.comparison", ".model.attention"}
    assert all(MODULES[f"cwm_trace{name}"].exported_names for name in eager)


@pytest.mark.parametrize("name", FACADES)
def test_a_facade_says_the_same_thrice(name: str) -> None:
    package, homes = shown_by(name)
    assert set(homes) == FACADES[name].exported_names
    typed = {
        alias.name: node.module
        for block in FACADES[name].tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {each: f"{package}.{module}" for each, module in homes.items()}
    for each, module in homes.items():
        home = MODULES[f"{package}.{module}"]
        assert each in home.public_names | home.exported_names, f"{home.name} has no {each}"


def test_facades_import_nothing_before_they_are_asked() -> None:
    asked = " ".join(f"import {name};" for name in FACADES)
    check = f"{asked} import sys; print(*sorted(n for n in sys.modules if n.startswith('cwm_trace')))"
    ran = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, timeout=HANGS, check=True
    )
    imported = set(ran.stdout.split())
    allowed = {"cwm_trace.lazy_names", "cwm_trace.versions", "cwm_trace.errors", "cwm_trace.datasets"}
    assert imported - allowed == set(FACADES)


def test_names_are_found_and_others_are_not() -> None:
    tracer = import_module("cwm_trace.tracer")
    assert tracer.Options is import_module("cwm_trace.tracer.session").Options
    with pytest.raises(AttributeError, match=r"module 'cwm_trace\.tracer' has no attribute 'Optoins'"):
        _ = tracer.Optoins

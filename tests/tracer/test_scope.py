"""Whose code is recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cwm_trace.tracer.scope import Scope


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    return Scope(str(tmp_path / "main.py"), str(tmp_path))


def test_files_under_the_root_belong(scope: Scope, tmp_path: Path) -> None:
    assert scope.covers(str(tmp_path / "main.py"))
    assert scope.covers(str(tmp_path / "package" / "module.py"))


def test_files_elsewhere_do_not(scope: Scope, tmp_path: Path) -> None:
    assert not scope.covers(str(tmp_path.parent / "other.py"))
    assert not scope.covers(str(tmp_path) + "2/other.py")


def test_the_standard_library_does_not(scope: Scope) -> None:
    assert not scope.covers(json.__file__)
    assert not scope.covers("<frozen importlib._bootstrap>")


def test_installed_packages_do_not_even_under_the_root(scope: Scope, tmp_path: Path) -> None:
    assert not scope.covers(str(tmp_path / "venv/lib/python3/site-packages/package/module.py"))


def test_generated_code_does_not(scope: Scope) -> None:
    assert not scope.covers("<string>")


def test_the_programs_own_file_always_belongs(tmp_path: Path) -> None:
    assert Scope(json.__file__, str(tmp_path)).covers(json.__file__)
    assert Scope("<string>", str(tmp_path)).covers("<string>")


def test_include_and_exclude(tmp_path: Path) -> None:
    main = str(tmp_path / "main.py")
    scope = Scope(main, str(tmp_path), include=["*/json/*.py"], exclude=[str(tmp_path / "generated" / "*")])
    assert scope.covers(json.__file__)
    assert not scope.covers(str(tmp_path / "generated" / "a.py"))
    assert not Scope(main, str(tmp_path), exclude=["*main.py"]).covers(main)


def test_relative_names_mean_the_folder_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope = Scope("main.py", str(tmp_path), exclude=["skip*.py"])
    os.chdir("/")
    assert scope.covers("module.py")
    assert not scope.covers("skipped.py")


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    scope = Scope("main.py", str(tmp_path / "link"))
    assert scope.covers(str(tmp_path / "real" / "module.py"))

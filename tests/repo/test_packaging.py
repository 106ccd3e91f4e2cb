"""The packages that are listed, built and imported are the ones that exist."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.extras import EXTRA_OF
from tests.effort import HANGS

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None  # type: ignore[assignment]

ROOT = Path(__file__).parents[2]
MAPPED = ("tracer", "model", "eval", "datasets")

pytestmark = pytest.mark.skipif(tomllib is None, reason="tomllib is new in Python 3.11")


@pytest.fixture(scope="module")
def setuptools_table() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return table


def packages_on_disk() -> set[str]:
    """Every folder with Python files, under its import name."""
    found = set()
    for top in ("cwm_trace", *MAPPED):
        prefix = "cwm_trace" if top == "cwm_trace" else f"cwm_trace.{top}"
        for file in (ROOT / top).rglob("*.py"):  # does not follow links
            parts = file.parent.relative_to(ROOT / top).parts
            if "__pycache__" not in parts:
                found.add(".".join([prefix, *parts]))
    return found


def test_the_package_list_is_complete(setuptools_table: dict[str, Any]) -> None:
    assert set(setuptools_table["packages"]) == packages_on_disk()


@pytest.mark.parametrize("folder", MAPPED)
def test_mapped_folders_are_linked(setuptools_table: dict[str, Any], folder: str) -> None:
    assert setuptools_table["package-dir"][f"cwm_trace.{folder}"] == folder
    link = ROOT / "cwm_trace" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("..") / folder


def test_the_datasets_folder_is_no_package_of_its_own() -> None:
    assert not (ROOT / "datasets" / "__init__.py").exists()


@pytest.mark.parametrize("command", [["-c"], ["-m", "pytest"], ["-P", "-m", "pytest"]])
def test_hugging_face_datasets_is_not_shadowed(tmp_path: Path, command: list[str]) -> None:
    if not any(metadata.distributions(name="datasets")):
        pytest.skip("Hugging Face's datasets is not installed")
    check = "from importlib.util import find_spec; assert 'site-packages' in find_spec('datasets').origin"
    if command == ["-c"]:
        arguments = ["-c", check]
    else:
        test = tmp_path / "test_it.py"
        test.write_text(f"def test_it():\n    {check}\n")
        arguments = [*command, "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), str(test)]
    result = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=HANGS, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_wheel_contents(tmp_path: Path) -> None:
    pytest.importorskip("build")
    pytest.importorskip("setuptools", minversion="77")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(ROOT),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cwm_trace"}
    assert {
        "cwm_trace/py.typed",
        "cwm_trace/cli/main.py",
        "cwm_trace/tracer/recorder.py",
        "cwm_trace/eval/comparison/comparison.py",
        "cwm_trace/datasets/loaders/cruxeval.py",
        "cwm_trace/demo_program.py",
        "cwm_trace/model/attention/csrc/kernels.cu",
        *(f"cwm_trace/{path.relative_to(ROOT)}" for path in ROOT.glob("model/attention/csrc/*.cuh")),
        "cwm_trace/model/training/cwm-mini.toml",
        "cwm_trace/model/training/reproduction.toml",
    } <= names
    assert not any(part in ("tests", "shared", "benchmarks") for name in names for part in name.split("/"))


def test_every_extra_brings_what_sentences_say_of_it() -> None:
    extras: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for package, extra in EXTRA_OF.items():
        assert any(re.match(rf"{package}\b", line) for line in extras[extra]), (package, extra)

"""Dependencies point one way, files stay small, and the light core stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwm_trace import trace_execution, write_trace
from tests.effort import HANGS

ROOT = Path(__file__).parents[2]
FOLDERS = ("cwm_trace", "tracer", "model", "eval", "datasets", "benchmarks", "tests")
MAX_LINES = 450

RECORDS = (
    "cwm_trace.records",
    "cwm_trace.errors",
    "cwm_trace.expressions",
    "cwm_trace.extras",
    "cwm_trace.files",
    "cwm_trace.lazy_names",
    "cwm_trace.plain",
    "cwm_trace.progress",
    "cwm_trace.display",
    "cwm_trace.states",
    "cwm_trace.versions",
)
MAY_IMPORT = {
    "cwm_trace/predict": (
        "cwm_trace.predict",
        "cwm_trace.flow",
        "cwm_trace.wire",
        "cwm_trace.model.predict",  # the registry, when a model is asked for
        *RECORDS,
    ),
    "cwm_trace/flow": ("cwm_trace.flow", "cwm_trace.records", "cwm_trace.errors"),
    "tracer": ("cwm_trace.tracer", *RECORDS),
    "model": ("cwm_trace.model", "cwm_trace.flow", "cwm_trace.wire", "cwm_trace.predict", *RECORDS),
    "model/training": (
        "cwm_trace.model",
        "cwm_trace.wire",
        "cwm_trace.predict",
        "cwm_trace.datasets",
        "cwm_trace.eval",
        *RECORDS,
    ),
    "eval": (
        "cwm_trace.eval",
        "cwm_trace.flow",
        "cwm_trace.wire",
        "cwm_trace.predict",
        "cwm_trace.datasets",  # its tasks and runner
        "cwm_trace.tracer",
        "cwm_trace.own_process",
        "cwm_trace.json_lines",
        "cwm_trace.storage",
        *RECORDS,
    ),
    "cwm_trace/debug": (
        "cwm_trace.debug",
        "cwm_trace.flow",
        "cwm_trace.predict",
        "cwm_trace.rendering",
        "cwm_trace.eval.comparison.equality",
        "cwm_trace.tracer",  # to record a program, when it is asked for
        "cwm_trace.viewer",  # to export a page
        "cwm_trace.extras",
        "cwm_trace.own_process",
        "cwm_trace.storage",
        "cwm_trace.api",
        *RECORDS,
    ),
    "datasets": (
        "cwm_trace.datasets",
        "cwm_trace.wire",
        "cwm_trace.tracer",
        "cwm_trace.own_process",
        *RECORDS,
    ),
}
"""What each folder may import of this package, with everything below it."""


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(part in ("__pycache__", "samples", "hazards") for part in path.parts):
                yield path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_dependencies_point_one_way(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not any(
            path.is_relative_to(ROOT / inner) for inner in MAY_IMPORT if inner.startswith(f"{folder}/")
        )
        for name in imports(path)
        if name.startswith("cwm_trace") and not is_below(name, MAY_IMPORT[folder])
    ]
    assert wrong == []


def test_no_file_needs_a_map() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MAX_LINES
    }
    assert long == {}


HEAVY = ["torch", "transformers", "torchao", "peft", "numpy", "tokenizers", "hypothesis", "scipy"]


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ("--help", "click"),
        ("--version", "click"),
        ("run --help", "click"),
        ("show p.jsonl", "click rich pydantic jsonlines"),
        ("demo --model copy --json", "click rich pydantic jsonlines"),
        ("predict p.py --max-frames 1", "click rich pydantic jsonlines numpy tokenizers"),
    ],
)
def test_a_command_imports_what_it_uses_and_nothing_else(
    arguments: str, allowed: str, tmp_path: Path
) -> None:
    (tmp_path / "p.py").write_text("x = 1\n")
    write_trace(trace_execution("x = 1\n"), tmp_path / "p.jsonl")
    check = (
        "import sys\n"
        f"sys.argv = ['cwm-trace', *{arguments.split()!r}]\n"
        "from cwm_trace.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        f"watched = {{*{HEAVY!r}, 'click', 'rich', 'pydantic', 'jsonlines'}}\n"
        "print(*watched & set(sys.modules), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    *talk, imported = result.stderr.splitlines()
    assert talk == []  # nothing of other packages
    assert set(imported.split()) <= set(allowed.split())


def test_importing_the_package_imports_only_itself() -> None:
    check = "import sys, cwm_trace; assert not {'pydantic', 'click', 'rich'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, timeout=HANGS, check=False).returncode == 0


def test_what_the_page_says_is_where_it_says() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = page.split("## Where to look")[1].split("## Where something new goes")[0]
    rows = re.findall(r"^\| [^|]+ \| `([\w/.]+)` \| `([^`]+)`(.*) \|$", table, re.MULTILINE)
    assert len(rows) == table.count("\n| ") - 1
    for path, name, more in rows:
        assert name.rpartition(".")[2] in (ROOT / path).read_text("utf-8"), f"{path} has no {name}"
        for other in re.findall(r"`([\w/]+\.\w+)`", more):
            assert (ROOT / other).exists(), other


def test_every_path_on_the_page_is_there() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    paths = set(re.findall(r"`([\w./-]+/[\w-]*(?:\.\w+)?)`", page))
    assert len(paths) > 50
    missing = [
        path for path in paths if not (ROOT / path).exists() and not (ROOT / "cwm_trace" / path).exists()
    ]
    assert [path for path in missing if not (ROOT / "model/predict" / path).exists()] == []

"""What the documentation shows works."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import pytest

from cwm_trace.cli.commands import COMMANDS
from cwm_trace.cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    "module",
    [
        "cwm_trace.api",
        "cwm_trace.debug.literals",
        "cwm_trace.rendering.wording",
        "cwm_trace.states",
        "cwm_trace.flow.constants",
        "cwm_trace.wire.going_back",
        "cwm_trace.wire.texts",
        "cwm_trace.datasets.diversity",
        "cwm_trace.datasets.families",
        "cwm_trace.datasets.generators.notation",
        "cwm_trace.datasets.pools",
        "cwm_trace.datasets.renaming",
        "cwm_trace.eval.comparison.branches",
        "cwm_trace.eval.statistics.calibration",
        "cwm_trace.eval.comparison.edit",
        "cwm_trace.eval.comparison.metrics",
        "cwm_trace.eval.statistics.estimates",
        "cwm_trace.eval.statistics.survival",
        "cwm_trace.eval.comparison.value_classes",
    ],
)
def test_doctests(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_readmes_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

    def some_function(a: int, b: int) -> int:
        total = a + b
        for _ in range(2):
            total += 1
        return total

    namespace = {"some_function": some_function}
    exec(example, namespace)


def test_the_example_of_the_page_on_prediction_runs() -> None:
    page = (ROOT / "docs/predict.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    namespace: dict[str, object] = {}
    for example in examples:
        exec(example, namespace)
    assert namespace["frame"] is not None


def test_the_example_of_the_page_on_the_debugger_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/debugger.md").read_text("utf-8"), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(example, namespace)
    assert namespace["reply"].data["stopped"][0]["source"] == "    n += 1"


def test_every_command_that_is_shown_exists() -> None:
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"cwm-trace ([a-z]+)\b", page.read_text("utf-8"))
        if name
    }
    commands = set(COMMANDS)
    words = {"is", "has", "and", "records", "needs", "imports", "costs"}  # prose about the project itself
    assert shown - words <= commands, shown - words - commands


def test_every_command_line_that_is_shown_can_be_given() -> None:
    """Names and options; nothing runs."""
    shown = [
        (page.name, shlex.split(words, comments=True))
        for page in PAGES
        for block in re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for words in re.findall(r"^\$ (?:\w+=\S+ )*cwm-trace (.*)$", block.replace("\\\n", ""), re.MULTILINE)
    ]
    assert len(shown) > 20
    for page, words in shown:
        mine = list(takewhile(lambda word: word not in ("|", ">", "<", "&&", ";"), words))
        command: click.Command = cli
        while isinstance(command, click.Group) and mine and not mine[0].startswith("-"):
            inner = command.get_command(click.Context(command), mine.pop(0))
            assert inner is not None, f"{page}: cwm-trace {' '.join(words)}"
            command = inner
        try:
            command.make_context("cwm-trace", mine)
        except click.exceptions.Exit:
            pass  # --help and --version
        except click.ClickException as error:
            pytest.fail(f"{page}: cwm-trace {' '.join(words)}: {error.format_message()}")


def test_links_to_files_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_lines_fit_a_window() -> None:
    """A row of a table, and what has no space to break at, may be longer."""
    pages = [
        *PAGES,
        *(page for folder in ("model", "tests", "editors") for page in (ROOT / folder).rglob("*.md")),
    ]
    pages += [*(ROOT / "cwm_trace" / "viewer" / "assets").iterdir()]
    for page in pages:
        if "node_modules" in page.parts:
            continue
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            is_table = page.suffix == ".md" and line.startswith("|")
            assert len(line) <= 120 or is_table or " " not in line.strip(), f"{page}:{number}"

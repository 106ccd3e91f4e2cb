"""The plan of the package can be read off its modules: layers, no circles, one name for one thing.

What is not yet so stands here by name or by number. A list only gets shorter, a number only smaller.
"""

from __future__ import annotations

import builtins
import re
import subprocess
from collections.abc import Mapping

import pytest

from tests.repo.graph import ROOT, When, find_circles, find_modules, find_namesakes, link_modules

MODULES = find_modules()

LAYERS = """
errors
extras files display progress versions streams demo_program expressions
lazy_names
records
plain states
wire flow
tracer
mapped_lines json_lines
storage predict
own_process
datasets model
model.light
model.predict
eval.comparison
eval.statistics eval.local_steps
eval.benchmark
eval.format model.training
rendering
recording
api viewer
notebook pytest_plugin debug strategies
cli
__main__
"""
"""From the bottom up: a module imports from its own part and from the lines above it."""

PARTS = {part: at for at, line in enumerate(LAYERS.strip().splitlines()) for part in line.split()}

UPWARD = {
    ("cwm_trace.predict.registry", "cwm_trace.model.predict"): "a model is found by its name, without torch",
}
"""What is imported from a line below when it is called, and why."""

LAZY_PARTS = {"cli": "a command imports what it does when it does it, so that `--help` is quick"}
LAZY = {
    "__init__": "the magic of notebooks is wanted in notebooks alone",
    "api": "`from cwm_trace import …` is quick, and brings of each part what a call of it needs",
    "eval.benchmark.tasks": "a task is found among all kinds, and brings what makes its own programs",
    "lazy_names": "an explanation is wanted only where something is missing",
    "model.loading": "what is wrong with a folder is said before transformers loads",
    "model.predict.backends.server": "transformers is needed only where the server has no tokenizer to give",
    "model.predict.decoders.choosing": "a small model runs without torch",
    "model.predict.local": "the same",
    "notebook": "`%load_ext` is quick",
    "predict.registry": "a predictor is found by its name, and brings its own packages",
    "pytest_plugin": "pytest loads every plugin, wanted or not",
    "recording": "`from cwm_trace import record` is quick",
    "tracer.recorders": "the compiled recorder may not have been built",
    "tracer.sandbox_child": "every sandboxed program waits for its imports",
    "tracer.session": "hiding values is rare, and its rules take a while",
}
"""Parts and modules that import of the package when they are called, and why."""
MOST_LAZY = 43
"""How often they do."""

_TWIN = "`model.light` is the same in NumPy, part by part"
_ASKED = "a request of an editor is a verb of the same group"
NAMESAKES = {
    "__main__": "Python's own name",
    "cache": _TWIN,
    "chat": "users import both: the format of chats, and the predictor that speaks it",
    "convert": "a command has the name that is typed",
    "decoder": _TWIN,
    "looking": _ASKED,
    "moving": _ASKED,
    "session": "users import that of the debugger; one of the tracer's is a recording",
    "tokens": "users import both: the ids of a tokenizer, and the tokens of the format",
    "weights": _TWIN,
}
"""Names that several modules have, and why none of them has another."""

MOST_PUBLIC = 1700
MOST_UNKNOWN = 105
"""Public names of which no other file of the repository speaks."""


def short(name: str) -> str:
    return name.removeprefix("cwm_trace").removeprefix(".") or "__init__"


def part_of(name: str) -> str:
    """The longest part among the layers that a module belongs to; none of the package itself."""
    part = name.removeprefix("cwm_trace").removeprefix(".")
    while part and part not in PARTS:
        part = part.rpartition(".")[0]
    return part


def goes_up(importer: str, imported: str, importers: Mapping[tuple[str, str], str] = UPWARD) -> bool:
    return any(importer == by and f"{imported}.".startswith(f"{package}.") for by, package in importers)


def test_every_module_has_a_layer() -> None:
    homeless = {name for name in MODULES if not part_of(name)}
    assert homeless == {"cwm_trace", "cwm_trace.eval"}


@pytest.mark.parametrize("when", ["at import", "when called", "for types"])
def test_layers_import_downwards(when: When) -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, names in link_modules(MODULES, when).items()
        for imported in names
        if part_of(importer) and part_of(importer) != part_of(imported)
        if PARTS.get(part_of(imported), len(PARTS)) >= PARTS[part_of(importer)]
        and not (when == "when called" and goes_up(importer, imported))
    ]
    assert wrong == []


def test_no_exception_to_the_layers_is_out_of_use() -> None:
    links = link_modules(MODULES, "when called")
    for entry in UPWARD:
        assert any(goes_up(entry[0], name, {entry: ""}) for name in links[entry[0]]), entry


def test_there_are_no_circles() -> None:
    """Of modules that need one another when they are imported, when they are called, or for their types."""
    assert find_circles(link_modules(MODULES, "at import", "when called", "for types")) == []


def test_who_imports_late_says_why() -> None:
    links = link_modules(MODULES, "when called")
    late = {short(name): len(names) for name, names in links.items() if names}
    late = {name: count for name, count in late.items() if part_of(f"cwm_trace.{name}") not in LAZY_PARTS}
    assert sorted(late) == sorted(LAZY)
    assert sum(late.values()) <= MOST_LAZY


def test_a_name_of_a_module_says_which() -> None:
    assert sorted(find_namesakes(MODULES)) == sorted(NAMESAKES)


def test_a_public_name_is_one_that_somebody_else_uses() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    spoken: dict[str, int] = {}
    for file in listed.splitlines():
        path = ROOT / file
        if path.suffix in (".py", ".md", ".toml", ".c", ".h", ".js", ".ts", ".ini") and not path.is_symlink():
            for word in set(re.findall(r"\w+", path.read_text("utf-8", "replace"))):
                spoken[word] = spoken.get(word, 0) + 1
    names = [(module, name) for module in MODULES.values() for name in module.public_names]
    assert len(names) <= MOST_PUBLIC
    assert len([name for _, name in names if spoken.get(name, 0) < 2]) <= MOST_UNKNOWN


def test_an_example_calls_a_name_as_it_is() -> None:
    """A name that got an underscore has it in the examples of docstrings, too."""
    wrong = []
    for name, module in MODULES.items():
        text = module.path.read_text("utf-8")
        private = {own[1:] for own in re.findall(r"^(?:def|class) (_\w+)", text, re.MULTILINE)}
        public = set(re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE)) | {*dir(builtins)}
        for line in re.findall(r"^\s*>>> (.*)", text, re.MULTILINE):
            called = set(re.findall(r"(?<![.\w'\"])(\w+)\(", line))
            wrong += [f"{short(name)}: {own}" for own in called & private - public]
    assert wrong == []

"""Folders like QuixBugs (Lin et al. 2017): small programs with a bug each, and calls as JSON lines.

`python_programs/NAME.py` defines `NAME`; `json_testcases/NAME.json` has a line `[arguments, result]` for
each call; `correct_python_programs/` has the same programs repaired.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cwm_trace.datasets.item import Item
from cwm_trace.datasets.loaders.published_rows import read_values
from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.program import read_source


def load_quixbugs(folder: str) -> Iterator[Item]:
    """Every call of every program, with the bug and repaired; split `test`.

    Only the repaired program has an expected result, and only where JSON states it exactly.

    Raises:
        CwmTraceError: the folder is none of this kind, or a file in it cannot be read.
    """
    root = Path(folder)
    programs = sorted((root / "python_programs").glob("*.py"))
    if not programs:
        raise CwmTraceError(f"{folder or 'quixbugs:'} has no python_programs/*.py: name a QuixBugs folder")
    for path in programs:
        calls = list(_calls(root / "json_testcases" / f"{path.stem}.json"))
        for kind in ("python_programs", "correct_python_programs"):
            program = root / kind / path.name
            if not program.exists():
                continue
            source = read_source(str(program))
            source = source if source.endswith("\n") else source + "\n"
            for number, (arguments, result) in enumerate(calls):
                call = f"{path.stem}({', '.join(map(repr, arguments))})"
                name = f"quixbugs/{path.stem}/{'bug' if kind == 'python_programs' else 'repaired'}/{number}"
                is_exact = kind != "python_programs" and isinstance(result, str)
                expected = repr(result) if is_exact else None
                yield Item(name, source, call, "quixbugs", split="test", expected=expected)


def _calls(path: Path) -> Iterator[tuple[list[object], object]]:
    if not path.exists():  # some programs of the collection are tested by code
        return
    for where, call in read_values(str(path), "[arguments, result]", may_be_array=False):
        match call:
            case [list(arguments), result]:
                yield arguments, result
            case [argument, result]:
                yield [argument], result
            case _:
                raise CwmTraceError(f"{where}: not [arguments, result]")

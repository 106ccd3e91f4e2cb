"""What leaves the process goes through one door of its kind: files that are written, other processes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.repo.graph import Module, find_modules

_WRITES = re.compile(r"(?=.*[wax+])[rwaxbt+]{1,3}")

WRITERS = {
    "files": "all other files: whole or not at all, or line by line",
    "streams": "a trace is compressed and mapped while it is written, below the program's own descriptors",
    "tracer.containment": "the kernel's own, in /proc",
}
"""Modules that open files to write them, and what they write."""

STARTERS = {
    "own_process": "the user's own programs and tests",
    "tracer.supervision": "programs in the sandbox",
    "tracer.bubblewrap": "asks whether bubblewrap works here",
    "cli.beside": "a prediction beside the program, which may have done anything to this process",
    "cli.run": "becomes pytest",
    "model.attention.check.__main__": "NVIDIA's own checker around the kernels",
}
"""Modules that start other processes, and which."""


def called(module: Module) -> Iterator[str]:
    """What a module calls: `subprocess.run`, `.write_text`, and `open to write`, whoever's `open` it is."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=name):
                pass
            case ast.Attribute(attr=name, value=value):
                yield f".{name}"
                if isinstance(value, ast.Name):
                    yield f"{value.id}.{name}"
            case _:
                continue
        if name == "open":
            given = [*node.args, *(word.value for word in node.keywords)]
            texts = [str(each.value) for each in given if isinstance(each, ast.Constant)]
            flags = {
                part.attr for each in given for part in ast.walk(each) if isinstance(part, ast.Attribute)
            }
            if any(map(_WRITES.fullmatch, texts)) or (
                flags & {"O_WRONLY", "O_RDWR"} and "devnull" not in flags
            ):
                yield "open to write"


CALLED = {name.removeprefix("cwm_trace."): set(called(module)) for name, module in find_modules().items()}


def test_files_are_written_in_one_place() -> None:
    writes = {"open to write", ".write_text", ".write_bytes", "os.replace", "os.fsync", "tempfile.mkdtemp"}
    found = {name for name, names in CALLED.items() if writes & names}
    assert found == set(WRITERS)


def test_processes_are_started_where_it_is_known() -> None:
    starts = {"subprocess.run", "subprocess.Popen", "subprocess.check_output", "os.execv", "os.system"}
    found = {name for name, names in CALLED.items() if starts & names}
    assert found == set(STARTERS)

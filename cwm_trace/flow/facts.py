"""What the text of a program makes possible beyond what its bytecode says, by its words and its syntax tree.

All of it errs to one side: a word in a comment counts as if it were used, which allows more, never less.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

from cwm_trace.records import SourceFile

_WORD = re.compile(r"\w+")


class Hazard(NamedTuple):
    """Something that breaks a rule: words one of which a program must use for it, modules it must import."""

    words: frozenset[str]
    modules: frozenset[str]


def _hazard(names: str, modules: str = "") -> Hazard:
    return Hazard(frozenset(names.split()), frozenset(modules.split()))


OWN_TRACING = _hazard(
    "settrace settrace_all_threads f_trace f_trace_lines f_trace_opcodes breakpoint set_trace",
    "pdb bdb coverage",
)
"""With these a program may switch its recording off and on again."""

CHANGES_LOCALS = _hazard(
    "exec eval locals vars f_locals _getframe currentframe _current_frames f_back"
    " gi_frame cr_frame ag_frame tb_frame",
    "inspect gc ctypes code doctest",
)
"""With these a program may bind variables of a function without a STORE instruction. Up to 3.12 a function's
`locals()` keeps what `exec` puts into it; from 3.13 on `f_locals` writes through (PEP 667)."""

CHANGES_CELLS = _hazard("cell_contents __closure__")

CHANGES_GLOBALS = _hazard(
    "globals setattr delattr __setattr__ __delattr__ __dict__ f_globals __globals__ __builtins__"
    " __getattribute__ __import__ monkeypatch",
    "importlib runpy mock pickle timeit",
)
"""With these a program may bind variables of a module without a STORE instruction that names them."""

FINDS_FUNCTIONS = _hazard("compile modules __func__ __wrapped__ __code__ getattr")
"""With these, besides the two before, a program may call a function that it does not name."""

FORGES_TYPES = _hazard("__module__ __qualname__", "builtins")
"""With these a class may go by the name of a built-in type."""

FORGES_TEXTS = _hazard("__repr__ UserString", "reprlib")
"""With these an object that changes may be shown like a literal."""

COMPILES = _hazard("compile CodeType FunctionType")
RUNS = _hazard("exec eval CodeType FunctionType", "runpy")
"""With one of each a program may run code that is not the text of the file that it names."""

THROWS = _hazard("throw athrow aclose cancel contextmanager asynccontextmanager", "asyncio")
"""With these an exception may be thrown into a generator that waits for another one."""

INTERRUPTS = _hazard("setitimer interrupt_main raise_signal PyThreadState_SetAsyncExc", "signal faulthandler")
"""With these any instruction may be followed by a call or an exception, and a line be reported twice."""

FINALIZES = _hazard("__del__", "weakref gc")
"""With these the end of an object may run code of the program."""

THREADS = _hazard("to_thread run_in_executor ThreadPool", "threading _thread concurrent multiprocessing")
"""With these another thread may run next."""

_IMPORTS_BY_NAME = frozenset(("__import__", "import_module", "importlib", "modules"))
"""With these a module may be had without an import statement: then its name is as good."""

_SAFE = """
    __future__ _thread abc argparse array asyncio atexit base64 binascii bisect bz2 calendar cmath codecs
    collections colorsys concurrent configparser contextlib contextvars copy csv dataclasses datetime
    decimal difflib enum errno fnmatch fractions functools gc glob graphlib gzip hashlib heapq html io
    ipaddress itertools json keyword locale logging lzma math numbers operator os pathlib platform pprint
    queue random re secrets shlex shutil signal statistics string struct subprocess sys sysconfig tempfile
    textwrap threading time token tokenize tomllib traceback types typing typing_extensions unicodedata
    uuid warnings weakref zipfile zlib zoneinfo
"""
_SAFE_MODULES = frozenset(_SAFE.split())
"""Modules of the standard library that call nothing but what they are given, and that have no objects which
change and are shown like a literal (`collections.UserString` apart)."""


@dataclass(slots=True)
class Facts:
    """Facts about the program as a whole.

    Args:
        words: every word of its text.
        imports: top-level names of the modules that it imports; `.` for its own package.
        imported: every name in its import statements.
        stars: it has a `from module import *`.
        classes: it defines a class.
        direct_calls: lines of the calls by their plain name, by that name: `f(…)`.
        escaping: names that are used in another way than to call them.
        functions: names of `def` statements.
    """

    words: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    stars: bool = False
    classes: bool = False
    direct_calls: dict[str, set[int]] = field(default_factory=dict)
    escaping: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)

    def has(self, *hazards: Hazard) -> bool:
        """Whether one of these is possible."""
        named = self.words if self.words & _IMPORTS_BY_NAME else self.imported
        return any(
            not (words.isdisjoint(self.words) and modules.isdisjoint(named)) for words, modules in hazards
        )

    def add(self, text: str, tree: ast.AST) -> None:
        """Count a file in."""
        self.words.update(_WORD.findall(text))
        called: set[int] = set()
        for node in ast.walk(tree):
            kind = type(node)
            if kind is ast.Call:
                assert isinstance(node, ast.Call)
                if isinstance(node.func, ast.Name):
                    called.add(id(node.func))
                    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                    self.direct_calls.setdefault(node.func.id, set()).update(lines)
            elif kind is ast.Name:
                assert isinstance(node, ast.Name)
                if id(node) not in called and isinstance(node.ctx, ast.Load):
                    self.escaping.add(node.id)
            elif kind is ast.Attribute:
                assert isinstance(node, ast.Attribute)
                self.escaping.add(node.attr)
            elif kind is ast.Constant:
                assert isinstance(node, ast.Constant)
                if isinstance(node.value, str) and node.value.isidentifier():
                    self.escaping.add(node.value)
            elif kind is ast.ClassDef:
                self.classes = True
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.add(node.name)
                if node.decorator_list:
                    self.escaping.add(node.name)
            elif isinstance(node, ast.Import):
                self.imports.update(alias.name.partition(".")[0] for alias in node.names)
                self.imported.update(part for alias in node.names for part in alias.name.split("."))
            elif isinstance(node, ast.ImportFrom):
                self.imports.add("." if node.level else (node.module or "").partition(".")[0])
                self.imported.update((node.module or "").split("."), (alias.name for alias in node.names))
                self.stars |= any(alias.name == "*" for alias in node.names)


def unknown_imports(facts: Facts, files: Iterable[SourceFile]) -> frozenset[str]:
    """Modules that may hold anything: neither a file of the program nor known to be harmless."""
    own = {PurePath(file.name).stem for file in files} | {PurePath(file.name).parent.name for file in files}
    relative = {"."} if sum(1 for _ in files) > 1 else set[str]()
    return frozenset(facts.imports - _SAFE_MODULES - own - relative)


def rewritten_by_pytest(file: SourceFile) -> bool:
    """Whether pytest may have compiled another program than the text: it rewrites `assert`."""
    name = PurePath(file.name).name
    is_test = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    return is_test and "assert" in file.text

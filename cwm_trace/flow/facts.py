"""What the text of a program makes possible beyond what its bytecode says, by its words and its syntax tree.

All of it errs to one side. A word in a comment counts as if it were used: that allows more, never less.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

from cwm_trace.records import SourceFile

_WORD = re.compile(r"\w+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OWN_TRACING = _words(
    """
    settrace settrace_all_threads f_trace f_trace_lines f_trace_opcodes breakpoint pdb bdb set_trace
    coverage
    """
)
"""With these a program may switch its recording off and on again."""

CHANGES_LOCALS = _words(
    """
    exec eval locals vars f_locals _getframe currentframe _current_frames f_back gi_frame cr_frame
    ag_frame tb_frame inspect gc ctypes code doctest
    """
)
"""With these a program may bind variables of a function without a STORE instruction. Up to 3.12 a function's
`locals()` keeps what `exec` puts into it; from 3.13 on `f_locals` writes through (PEP 667)."""

CHANGES_CELLS = _words(
    """
    cell_contents __closure__
    """
)

CHANGES_GLOBALS = _words(
    """
    monkeypatch pickle timeit globals setattr delattr __setattr__ __delattr__ __dict__ f_globals
    __globals__ __builtins__ __getattribute__ reload importlib runpy __import__ mock patch
    """
)
"""With these a program may bind variables of a module without a STORE instruction that names them."""

FINDS_FUNCTIONS = _words(
    """
    compile modules __func__ __wrapped__ __code__ getattr
    """
)
"""With these, besides the two before, a program may call a function that it does not name."""

FORGES_TYPES = _words(
    """
    __module__ __qualname__ builtins
    """
)
"""With these a class may go by the name of a built-in type."""

FORGES_TEXTS = _words(
    """
    __repr__ UserString reprlib
    """
)
"""With these an object that changes may be shown like a literal."""

INTERRUPTS = _words(
    """
    signal setitimer alarm interrupt_main raise_signal kill faulthandler PyThreadState_SetAsyncExc
    """
)
"""With these any instruction may be followed by a call or an exception, and a line be reported twice."""

FINALIZES = _words(
    """
    __del__ weakref finalize gc
    """
)
"""With these the end of an object may run code of the program."""

THREADS = _words(
    """
    threading _thread concurrent multiprocessing to_thread run_in_executor ThreadPool
    """
)
"""With these another thread may run next."""

SAFE_MODULES = _words(
    """
    __future__ _thread abc array asyncio base64 bisect calendar cmath collections concurrent contextlib
    contextvars copy csv dataclasses datetime decimal difflib enum fnmatch fractions functools gc hashlib
    heapq html io itertools json keyword math numbers operator os pathlib pprint queue random re secrets
    shlex signal statistics string struct sys tempfile textwrap threading time token tokenize types typing
    typing_extensions unicodedata uuid weakref zlib
    """
)
"""Modules of the standard library that call nothing but what they are given, and that have no objects which
change and are shown like a literal (`collections.UserString` apart)."""


@dataclass(slots=True)
class Facts:
    """Facts about the program as a whole.

    Args:
        words: every word of its text.
        imports: top-level names of the modules that it imports; `.` for its own package.
        stars: it has a `from module import *`.
        classes: it defines a class.
        direct_calls: lines of the calls by their plain name, by that name: `f(…)`.
        escaping: names that are used in another way than to call them.
    """

    words: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    stars: bool = False
    classes: bool = False
    direct_calls: dict[str, set[int]] = field(default_factory=dict)
    escaping: set[str] = field(default_factory=set)

    def has(self, *sets: frozenset[str]) -> bool:
        """Whether a word of these sets occurs."""
        return any(not words.isdisjoint(self.words) for words in sets)

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
                if node.decorator_list:
                    self.escaping.add(node.name)
            elif isinstance(node, ast.Import):
                self.imports.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                self.imports.add("." if node.level else (node.module or "").partition(".")[0])
                self.stars |= any(alias.name == "*" for alias in node.names)


def unknown_imports(facts: Facts, files: Iterable[SourceFile]) -> frozenset[str]:
    """Modules that may hold anything: neither a file of the program nor known to be harmless."""
    own = {PurePath(file.name).stem for file in files} | {PurePath(file.name).parent.name for file in files}
    relative = {"."} if sum(1 for _ in files) > 1 else set[str]()
    return frozenset(facts.imports - SAFE_MODULES - own - relative)


def rewritten_by_pytest(file: SourceFile) -> bool:
    """Whether pytest may have compiled another program than the text: it rewrites `assert`."""
    name = PurePath(file.name).name
    is_test = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    return is_test and "assert" in file.text

"""What is known of a program before it runs: its code objects, and what could break their rules."""

from __future__ import annotations

import ast
import functools
import sys
import warnings
from collections.abc import Iterator
from functools import cached_property
from types import CodeType

from cwm_trace.flow import bytecodes as py
from cwm_trace.flow import facts as hazards
from cwm_trace.flow.code import Code
from cwm_trace.flow.facts import Facts, rewritten_by_pytest, unknown_imports
from cwm_trace.flow.region import Regions
from cwm_trace.records import SourceFile, Trace

MODULE = "<module>"
_NOT_COMPILED = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


def analyse(program: Trace) -> Analysis:
    """The analysis of a program; computed once for the same files.

    Args:
        program: its files, its entry, and the Python that recorded it. Nothing of it is run.
    """
    return _analyse(
        program.files, program.run.python, program.entry, program.entry_line, program.run.limits.timeout
    )


@functools.lru_cache(maxsize=256)
def _analyse(
    files: tuple[SourceFile, ...], python: str, entry: str, entry_line: int, timeout: float | None
) -> Analysis:
    return Analysis(files, python, entry, entry_line, may_time_out=timeout is not None)


class Analysis:
    """A program, compiled and never run.

    Args:
        files: its source files; the first one holds the entry.
        python: version that recorded it; empty: this one.
        entry: name of the function that the trace starts in; empty: any.
        entry_line: line of its definition.
        may_time_out: an exception may come anywhere.

    Attributes:
        reason: why nothing can be said about the program, as one sentence; empty if something can.
        codes: by file, and the line that a CALL of them shows.
    """

    def __init__(
        self, files: tuple[SourceFile, ...], python: str, entry: str, entry_line: int, *, may_time_out: bool
    ) -> None:
        self.files = files
        self.entry = entry
        self.entry_line = entry_line
        self.facts = Facts()
        self.codes: dict[tuple[int, int], list[Code]] = {}
        self.opaque: set[int] = set()
        self._regions: dict[int, Regions] = {}
        self._by_file: dict[int, list[Code]] = {}
        self._changed: dict[int, frozenset[str] | None] = {}
        self.reason = self._version_reason(python)
        if not self.reason:
            self._read_files()
        facts = self.facts
        self.unknown = unknown_imports(facts, files)
        self.may_be_interrupted = may_time_out
        self.has_threads = facts.has(hazards.THREADS) or bool(self.unknown)
        self.has_throws = facts.has(hazards.THROWS) or bool(self.unknown)
        self.has_finalizers = facts.has(hazards.FINALIZES) or bool(self.unknown)
        self.has_objects = (
            facts.classes or bool(facts.imports) or not facts.words.isdisjoint(("type", "__import__"))
        )
        self.trusts_types = not facts.has(hazards.FORGES_TYPES)
        self.trusts_texts = not facts.has(hazards.FORGES_TEXTS) and not self.unknown and not self.opaque
        self.locals_are_free = facts.has(hazards.CHANGES_LOCALS)
        self.cells_are_free = (  # with threads: up to 3.12 a trace function writes back what it has read
            self.locals_are_free or self.has_threads or facts.has(hazards.CHANGES_CELLS)
        )
        self.globals_are_free = (
            self.locals_are_free or bool(self.unknown) or facts.has(hazards.CHANGES_GLOBALS)
        )
        self.functions_are_named = not (
            self.globals_are_free
            or self.opaque
            or len(files) > 1
            or facts.stars
            or facts.has(hazards.FINDS_FUNCTIONS, hazards.THREADS)
        )

    @staticmethod
    def _version_reason(python: str) -> str:
        if not py.IS_SUPPORTED:
            return f"this is {sys.implementation.name} {py.VERSION}, whose bytecode is not known"
        recorded = ".".join(python.split(".")[:2])
        if recorded and recorded != py.VERSION:
            return f"the program was recorded by Python {recorded}, and this is {py.VERSION}"
        return ""

    def _read_files(self) -> None:
        for number, file in enumerate(self.files):
            runs_as_written = number == 0 and self.entry in (MODULE, "main")
            if not file.text or (number and file.name.startswith("<")):
                self.opaque.add(number)  # what `exec` ran: its text may be another's of the same name
                continue
            if not runs_as_written and rewritten_by_pytest(file):
                self.opaque.add(number)
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse(file.text)
                    code = compile(tree, file.name, "exec", dont_inherit=True)
                self.facts.add(file.text, tree)
            except _NOT_COMPILED as error:
                if number:
                    self.opaque.add(number)  # a template that goes by its file's name
                    continue
                self.reason = f"{file.name} does not compile with Python {py.VERSION}: {error}".rstrip(": ")
                return
            for part in _nested(code, number, None):
                self.codes.setdefault((number, part.call_line), []).append(part)
                self._by_file.setdefault(number, []).append(part)
        if not self.codes:
            self.reason = "no source text of the program is known that runs as it is written"
        elif self.facts.has(hazards.OWN_TRACING):
            self.reason = (
                "the program may switch its own recording off and on (it names settrace, pdb or the like)"
            )
        elif self.facts.has(hazards.COMPILES) and self.facts.has(hazards.RUNS):
            self.reason = "the program compiles code of its own, which may go by the name of any file"
        elif self.facts.has(hazards.INTERRUPTS):
            self.reason = "the program may handle signals, which come between any two instructions"

    def regions(self, code: Code) -> Regions:
        """The regions of a code object of this program."""
        found = self._regions.get(id(code))
        if found is None:
            found = self._regions[id(code)] = Regions(code)
        return found

    def codes_of(self, file: int) -> list[Code]:
        """Every code object of a file, each before those that are defined in it."""
        return self._by_file.get(file, [])

    @cached_property
    def _stored_elsewhere(self) -> tuple[dict[str, list[Code]], dict[int, set[str]], set[str]]:
        """Who stores a name into a cell; names that functions of a file store globally; stored attributes."""
        cells: dict[str, list[Code]] = {}
        global_names: dict[int, set[str]] = {}
        attributes: set[str] = set()
        for codes in self._by_file.values():
            for code in codes:
                for instruction in code.instructions:
                    number = instruction.number
                    if number in py.STORES_CELL:
                        cells.setdefault(code.slots[instruction.argument], []).append(code)
                    elif number in py.STORES_GLOBAL:
                        name = code.raw.co_names[instruction.argument]
                        global_names.setdefault(code.file, set()).add(name)
                    elif number in py.STORES_ATTRIBUTE:
                        attributes.add(code.raw.co_names[instruction.argument])
        return cells, global_names, attributes

    def changed_elsewhere(self, code: Code) -> frozenset[str] | None:
        """Names that other code may bind or unbind while an activation of this one waits; None: any."""
        if id(code) not in self._changed:
            self._changed[id(code)] = self._changed_elsewhere(code)
        return self._changed[id(code)]

    def _changed_elsewhere(self, code: Code) -> frozenset[str] | None:
        if code.is_module:
            if self.globals_are_free or (py.COMPREHENSIONS_HIDE_NAMES and code.raw.co_varnames):
                return None
            _, global_names, attributes = self._stored_elsewhere
            return frozenset(global_names.get(code.file, ())) | frozenset(attributes)
        if not code.is_function or not code.is_optimized or self.locals_are_free:
            return None  # a class body may live in any mapping
        if self.cells_are_free:
            return code.cells
        cells, _, _ = self._stored_elsewhere
        free = frozenset(code.raw.co_freevars)
        return frozenset(
            name
            for name in code.cells
            if any(name in free or name in other.raw.co_freevars for other in cells.get(name, ()))
        )

    def escapes(self, code: Code) -> bool:
        """Whether a function may be called from code that does not name it."""
        if not self.functions_are_named or code.is_generator or code.name.startswith("<"):
            return True
        inside_class = code.parent is not None and not code.parent.is_module and not code.parent.is_function
        is_special = "__" in code.name or code.name not in self.facts.functions
        return inside_class or is_special or code.name in self.facts.escaping


def _nested(raw: CodeType, file: int, parent: Code | None) -> Iterator[Code]:
    code = Code(raw, file, parent)
    yield code
    for constant in raw.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant, file, code)

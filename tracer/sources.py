"""Which source file a code object belongs to, and whether the user wrote its text.

A file name does not say: a module may be reloaded, `exec` may run any text under any name, a template engine
gives its code the name of the template. What counts is the code object, and the text that it was compiled
from; several texts under one name are several source files. The user's are those of files in the scope, of
notebook cells, and whatever recorded code gives to `exec` and `eval`.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import decode_source
from types import CodeType, FrameType
from typing import Any

from cwm_trace.records import SourceFile
from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS, came_at_a_start
from cwm_trace.tracer.scope import Scope

SHARED_NAME = "<string>"
"""The file name that `-c`, `exec`, and the standard library's code generators all use."""

_MODULE = "<module>"
_IMPORTERS = frozenset(["importlib._bootstrap", "importlib._bootstrap_external", "runpy"])
_KEPT_TEXTS = 50  # of one name: what runs is one of the last that were compiled
_KEPT_NAMES = 5  # of what was left out

_Shape = tuple[str, int, tuple[str, ...]]


class Sources:
    """The source files of a recording, by code object.

    Args:
        scope: which files are the user's.
        add_file: takes each file before its first frame; files are numbered in this order.
    """

    def __init__(self, scope: Scope, add_file: Callable[[SourceFile], object]) -> None:
        self.numbers: dict[int, int | None] = {}
        """Of source files, by the id of a code object; None for code that is not recorded."""
        self.left_out: dict[str, str] = {}
        """Names of files that are not recorded, and why; the first few."""
        self._scope = scope
        self._add_file = add_file
        self._files: dict[SourceFile, int] = {}
        self._alive: dict[int, tuple[weakref.ref[CodeType], weakref.ref[CodeType]]] = {}
        self._shapes: dict[SourceFile, tuple[frozenset[_Shape], frozenset[str]]] = {}
        self._heard: dict[str, list[str | bytes]] = {}
        self._is_reading = False
        self._lock = threading.RLock()

    def know(self, code: CodeType, source: SourceFile) -> None:
        """Count `code` to a file that the sink already has."""
        self._adopt(code, self._files.setdefault(source, len(self._files)))

    def find(self, frame: FrameType, *, run_by_user: bool) -> int | None:
        """The number of the source file of a frame's code, which is seen for the first time.

        Args:
            frame: at its call.
            run_by_user: whether the frame that it was called from is recorded.
        """
        code = frame.f_code
        with self._lock:
            if id(code) in self.numbers:
                return self.numbers[id(code)]
            self._is_reading = True
            try:
                found = self._source_of(frame, run_by_user)
            finally:
                self._is_reading = False
            if isinstance(found, str):
                if len(self.left_out) < _KEPT_NAMES and not self._scope.is_own(code.co_filename):
                    self.left_out.setdefault(code.co_filename, found)
                self._adopt(code, None, inner=self._scope.covers(code.co_filename))
                return None
            number = self._files.get(found)
            if number is None:
                number = len(self._files)
                try:
                    self._add_file(found)
                except BaseException as error:
                    if not isinstance(error, OSError | MemoryError) and not came_at_a_start(error):
                        self._files[found] = number  # sent by another thread, behind the line of the file
                    raise
                self._files[found] = number
            self._adopt(code, number)
            return number

    def listen(self) -> None:
        """From now on hear what is compiled, and so know the texts that `exec` and `eval` are given.

        An audit hook (PEP 578) sees them; it cannot be removed, so this is for a process that does nothing
        but run the program.
        """
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        try:
            if event != "compile" or self._is_reading:
                return
        except RecursionError:  # where the trace function is removed for one: the program's own would be lost
            return
        text, name = arguments[0], arguments[1]
        if isinstance(name, bytes):
            name = name.decode("utf-8", "surrogateescape")
        if type(name) is str and type(text) in (str, bytes):
            if not name.startswith("<") and not self._scope.covers(name):
                return
            texts = self._heard.setdefault(name, [])
            texts.append(text)  # type: ignore[arg-type]  # see above
            del texts[:-_KEPT_TEXTS]

    def _source_of(self, frame: FrameType, run_by_user: bool) -> SourceFile | str:
        """The source file of a frame's code, or why it is not recorded."""
        code = frame.f_code
        name, is_module = code.co_filename, code.co_name == _MODULE
        if self._scope.excludes(name):
            return "excluded"
        if is_module and run_by_user:
            return self._given_source(frame)
        if is_cell(frame):
            cell = SourceFile(name, cell_text(name))
            if name != SHARED_NAME or self._matches(code, cell):
                return cell
        if name.startswith("<"):
            return "generated by a library"
        if not self._scope.covers(name):
            return self._scope.reason(name)
        text = read_text(name, frame.f_globals)
        if is_module:
            heard = self._heard_text(code)
            back = frame.f_back
            if back is not None and back.f_globals.get("__name__") in _IMPORTERS:
                return SourceFile(name, text or "" if heard is None else heard)
            if heard is not None and heard == text and _is_of_a_file(frame):
                return SourceFile(name, text)
        if text is None or not _is_of_a_file(frame):
            return "generated by a library"
        source = SourceFile(name, text)
        return source if self._matches(code, source) else "its code was not compiled from that file's text"

    def _given_source(self, frame: FrameType) -> SourceFile:
        """The text that recorded code gave to `exec` or `eval`; empty if it is not known."""
        code = frame.f_code
        name = code.co_filename
        text = self._heard_text(code)
        if text is None and is_cell(frame):
            text = cell_text(name)
        if text is None and not name.startswith("<"):
            text = read_text(name, frame.f_globals)
            if text is not None and not self._matches(code, SourceFile(name, text)):
                text = None
        return SourceFile(name, text or "")

    def _heard_text(self, code: CodeType) -> str | None:
        """The text that `code` was compiled from, if it was heard."""
        name = code.co_filename
        texts = [text for text in map(_decoded, reversed(self._heard.get(name, []))) if text is not None]
        if len(texts) > 1:
            for text in texts:
                if any(_compiled(text, name, mode) == code for mode in ("exec", "eval", "single")):
                    return text
        return texts[0] if texts else None

    def _matches(self, code: CodeType, source: SourceFile) -> bool:
        """Whether `code` can come from that text; tools such as pytest change code, but not its places."""
        if source not in self._shapes:
            compiled = _compiled(source.text, source.name, "exec")
            inner = frozenset(_shapes(compiled)) if compiled else frozenset()
            self._shapes[source] = inner, frozenset(compiled.co_names if compiled else ["", _MODULE])
        inner, names = self._shapes[source]
        if code.co_name != _MODULE:
            return _shape(code) in inner
        return names <= set(code.co_names) and inner >= set(_shapes(code))

    def _adopt(self, code: CodeType, number: int | None, *, inner: bool = True) -> None:
        """Count `code`, and what is defined in it, to a file."""
        key = id(code)
        # Once it is gone, its id may be another's. What forgets it is of C: nothing traces or profiles that.
        forget = [partial(kept.pop, key) for kept in (self.numbers, self._alive)]  # takes what it is given
        self._alive[key] = weakref.ref(code, forget[0]), weakref.ref(code, forget[1])
        self.numbers[key] = number
        if inner:
            for constant in code.co_consts:
                if isinstance(constant, CodeType):
                    self._adopt(constant, number)


TRACE_FUNCTIONS.add(Sources._hear.__code__)


def _is_of_a_file(frame: FrameType) -> bool:
    """Whether the code of a frame was read from a file, or is that of a module which was imported.

    Template engines (Mako, Tornado) give what they compile a loader that has its text, for tracebacks.
    """
    namespace = frame.f_globals
    module = sys.modules.get(str(namespace.get("__name__")))
    return os.path.isfile(frame.f_code.co_filename) or getattr(module, "__dict__", None) is namespace


def source_of(code: CodeType, namespace: dict[str, Any]) -> SourceFile:
    """The file that a function says it is of, with its text if that can be found."""
    name = code.co_filename
    text = read_text(name, namespace)
    if text is None:
        text = cell_text(name)
    return SourceFile(name, text)


def is_cell(frame: FrameType) -> bool:
    """Whether a frame is that of a notebook cell, or of a function of one.

    Cells, what is typed at a prompt, and from 3.13 on the text of `-c`, are run in `__main__` and have their
    text in `linecache` alone.
    """
    if frame.f_globals.get("__name__") != "__main__":
        return False
    entry = linecache.cache.get(frame.f_code.co_filename)
    return entry is not None and len(entry) == 4 and entry[1] is None


def cell_text(name: str) -> str:
    """The text that `linecache` was given under a name."""
    entry = linecache.cache.get(name)
    return "".join(entry[2]) if entry is not None and len(entry) == 4 else ""


def read_text(name: str, namespace: dict[str, Any]) -> str | None:
    """The text of a file as it is now, which the loader of its module may have to find."""
    if name.startswith("<"):
        return None
    try:
        with open(name, "rb") as file:
            return decode_source(file.read())
    except (OSError, ValueError, SyntaxError):
        pass
    loader = namespace.get("__loader__")
    try:
        text = loader.get_source(namespace["__name__"])  # type: ignore[union-attr]
    except Exception:  # a loader may be anything
        return None
    return text if isinstance(text, str) else None


def _decoded(text: str | bytes) -> str | None:
    if isinstance(text, str):
        return text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        return decode_source(text)
    except (SyntaxError, ValueError, LookupError):
        return None


def _compiled(text: str, name: str, mode: str) -> CodeType | None:
    """The text compiled without a word: the program has heard its warnings."""
    silence: Any = ("ignore", None, Warning, None, 0)
    filters: Any = warnings.filters
    filters.insert(0, silence)  # not by `simplefilter`, after which every warning would be shown once more
    try:
        code: CodeType = compile(text, name, mode, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    finally:
        filters.remove(silence)
    return code


def _shape(code: CodeType) -> _Shape:
    arguments = code.co_argcount + code.co_kwonlyargcount
    return code.co_name, code.co_firstlineno, code.co_varnames[:arguments]


def _shapes(code: CodeType) -> Iterator[_Shape]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield _shape(constant)
            yield from _shapes(constant)

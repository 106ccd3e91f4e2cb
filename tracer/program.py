"""A program as Python would run it: its code, its entry, and the surroundings it expects."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import io
import linecache
import os
import pkgutil
import re
import sys
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Program, SourceFile
from cwm_trace.tracer.interpreter import TEXT_OF_C_IS_KNOWN
from cwm_trace.tracer.sources import SHARED_NAME

MODULE = "<module>"


@dataclass(frozen=True)
class Runnable:
    """Code that is ready to run, and what Python sets up around it.

    Args:
        program: what is executed: its file, its entry, its arguments.
        code: the compiled module.
        argv: `sys.argv`.
        path: `sys.path[0]`; None: no folder of the user's is searched for modules.
        root: the folder of the user's code; None: there is none.
        entry_code: the code of the entry, if it is called after the module has been set up; it is not bound
            to a name, so that the program may have a `main` of its own.
        module: its name, if Python's own `runpy` finds and runs it: with `-m`, or `__main__` of a folder.
        attributes: of the `__main__` module (`__file__`, `__spec__`, …).
    """

    program: Program
    code: CodeType
    argv: tuple[str, ...]
    path: str | None
    root: str | None
    entry_code: CodeType | None = None
    module: str | None = None
    attributes: tuple[tuple[str, Any], ...] = ()

    @property
    def source(self) -> SourceFile:
        """The file that holds the entry."""
        return self.program.files[0]

    def enter(self, name: str) -> Program:
        """The program, entered by another function of it.

        Raises:
            CwmTraceError: it has no such function.
        """
        line = find_function(self.source.text, name, self.source.name).line
        return replace(self.program, entry=name, entry_line=line)


def load_script(path: str, arguments: Sequence[str] = ()) -> Runnable:
    """The script at `path`, as `python path arguments…` runs it.

    Raises:
        CwmTraceError: it cannot be read or compiled, or is empty.
    """
    full = os.path.join(os.getcwd(), path)
    data = _read(path)
    text = _decode(data, path)
    code = _compile(data, full, path)
    loader = importlib.machinery.SourceFileLoader("__main__", full)
    folder = os.path.dirname(os.path.realpath(full))
    return Runnable(
        _script(path, text, arguments),
        code=code,
        argv=(path, *arguments),
        path=folder,
        root=folder,
        attributes=(("__file__", full), ("__cached__", None), ("__spec__", None), ("__loader__", loader)),
    )


def load_module(name: str, arguments: Sequence[str] = ()) -> Runnable:
    """The module `name`, as `python -m name arguments…` runs it; of a package its `__main__`.

    Nothing is imported yet: the packages around it are, with the module's own arguments, when it is run.

    Raises:
        CwmTraceError: there is no such module, it has no source code, or it cannot be compiled.
    """
    here = os.getcwd()
    sys.path.insert(0, here)  # as -m has it, before the search
    try:
        spec = _find_main(name)
    finally:
        sys.path.remove(here)
    text = _source_of(spec)
    if text is None or spec.origin is None:
        raise CwmTraceError(f"module {name!r} has no Python source to trace")
    _require_code(text, spec.origin)
    return Runnable(
        _script(spec.origin, text, arguments),
        code=_compile(text, spec.origin, spec.origin),
        argv=("-m", *arguments),
        path=here,
        root=here,
        module=name,
    )


def load_folder(path: str, arguments: Sequence[str] = ()) -> Runnable:
    """The `__main__.py` in a folder or a zip file, as `python path arguments…` runs it.

    Raises:
        CwmTraceError: there is none, or it cannot be read or compiled.
    """
    full = os.path.join(os.getcwd(), path)  # so its modules are found from wherever the program goes
    try:
        importer = pkgutil.get_importer(full)
        spec = importer.find_spec("__main__") if importer is not None else None
    except (SyntaxError, ValueError) as error:  # to find a module in a zip file is to compile it
        raise _not_compiled(error, getattr(error, "filename", None) or path) from error
    except (ImportError, OSError, EOFError, zlib.error) as error:
        raise CwmTraceError(f"cannot read {path}: {error}") from error
    text = None if spec is None else _source_of(spec)
    if spec is None or text is None or spec.origin is None:
        raise CwmTraceError(f"{path} has no __main__.py: name a Python file in it")
    _require_code(text, spec.origin)
    return Runnable(
        _script(spec.origin, text, arguments),
        code=_compile(text, spec.origin, spec.origin),
        argv=(path, *arguments),
        path=full,
        root=full,
        module="__main__",
    )


def load_input(arguments: Sequence[str] = ()) -> Runnable:
    """The program on standard input, as `python - arguments…` runs it.

    Raises:
        CwmTraceError: it cannot be compiled, or is empty.
    """
    name = "<stdin>"
    text = _decode(sys.stdin.buffer.read(), "standard input")
    loader = importlib.machinery.SourceFileLoader("__main__", name)
    return Runnable(
        _script(name, text, arguments),
        code=_compile(text, name, "standard input"),
        argv=("-", *arguments),
        path="",
        root=os.getcwd(),
        attributes=(("__file__", name), ("__cached__", None), ("__spec__", None), ("__loader__", loader)),
    )


def load_code(text: str, arguments: Sequence[str] = (), *, where: str = "the code after -c") -> Runnable:
    """Source text, as `python -c text arguments…` runs it.

    Args:
        text: the source.
        arguments: of the program.
        where: what an error says that it is.

    Raises:
        CwmTraceError: it cannot be compiled, or is empty.
    """
    name = SHARED_NAME
    text = _with_newlines(text)
    _require_code(text, where)
    return Runnable(
        _script(name, text, arguments),
        code=_compile(text, name, where),
        argv=("-c", *arguments),
        path="",
        root=os.getcwd(),
        attributes=(("__loader__", importlib.machinery.BuiltinImporter),),
    )


def load_call(text: str, call: str, *, name: str = "<source>") -> Runnable:
    """One call of a function: `text` is set up as a module, then an argument-less `main` returns the call.

    Args:
        text: source that defines what is called.
        call: an expression such as `f(3)`.
        name: file name of `text`, if it comes from a file.

    Raises:
        CwmTraceError: `text` or `call` cannot be compiled, or `text` is empty.
    """
    _require_code(text, name)
    text = _with_newlines(text)
    if not call.strip() or _UNUSUAL.search(call.strip()):
        _check_call(call)
    body = text if text.endswith("\n") else text + "\n"
    line = body.count("\n") + 1
    main = f"def main():\n    return {call.strip()}\n"
    full = os.path.join(os.getcwd(), name) if not name.startswith("<") else name
    folder = os.path.dirname(os.path.realpath(full)) if full != name else os.getcwd()
    try:
        entry = _compile("\n" * (line - 1) + main, full, name)
    except CwmTraceError:
        _check_call(call)
        raise
    return Runnable(
        Program((SourceFile(name, body + main),), "main", line),
        code=_compile(body, full, name),
        argv=(name,),
        path=folder,
        root=folder,
        entry_code=entry.co_consts[0],
        attributes=(("__name__", _module_name(name)), ("__file__", full)),
    )


_UNUSUAL = re.compile(r"[\n\r\f\\;#*]|main")
"""Of texts that are no expression though they can stand behind `return`, and of calls of the entry itself."""


def _check_call(call: str) -> None:
    try:
        expression = ast.parse(call.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise CwmTraceError(f"{call!r} is not an expression such as f(3): {_reason(error)}") from error
    if any(isinstance(node, ast.Name) and node.id == "main" for node in ast.walk(expression)):
        raise CwmTraceError(f"{call!r} calls main, the name of the entry itself: use --entry main instead")


def read_source(path: str) -> str:
    """The text of a Python file, decoded as Python decodes it.

    Raises:
        CwmTraceError: it cannot be read or decoded, or is empty.
    """
    return _decode(_read(path), path)


class Function(NamedTuple):
    """Where a function starts, its decorators included, and whether it can be called without arguments."""

    line: int
    needs_arguments: bool


def find_function(text: str, name: str, where: str) -> Function:
    """The function `name` (or `Class.method`) of a source text.

    Raises:
        CwmTraceError: there is none.
    """
    functions = dict(_functions(ast.parse(text), ""))
    if name in functions:
        return functions[name]
    known = ", ".join(functions) if functions else "no functions"
    raise CwmTraceError(f"{where} has no function {name!r}: it has {known}")


@contextmanager
def surroundings(program: Runnable, *, restore: bool = True) -> Iterator[ModuleType]:
    """`__main__`, `sys.argv`, `sys.path[0]` and the lines of `-c` as the program expects them.

    Args:
        program: what is going to run.
        restore: put back what was before.
    """
    module = ModuleType("__main__")
    module.__dict__.update(program.attributes)
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    module.__dict__.setdefault("__annotations__", {})  # as the interpreter makes `__main__`
    name = module.__name__
    saved = sys.argv, sys.path[:], sys.modules.get(name)
    lines_before = linecache.cache.get(SHARED_NAME)
    if TEXT_OF_C_IS_KNOWN and program.source.name == SHARED_NAME:
        text = program.source.text
        lines = [f"{line}\n" for line in text.splitlines()]
        linecache.cache[SHARED_NAME] = len(text), None, lines, SHARED_NAME
    sys.argv = list(program.argv)
    folders = [] if program.path is None else [program.path]
    sys.path[0 : 1 if name == "__main__" or not folders else 0] = folders
    sys.modules[name] = module
    try:
        yield module
    finally:
        if restore:
            sys.argv, sys.path[:], before = saved
            if before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before
            linecache.cache.pop(SHARED_NAME, None)
            if lines_before is not None:
                linecache.cache[SHARED_NAME] = lines_before


def _script(name: str, text: str, arguments: Sequence[str]) -> Program:
    return Program((SourceFile(name, text),), MODULE, arguments=tuple(arguments))


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            signature = child.args
            required = len(signature.posonlyargs) + len(signature.args) - len(signature.defaults)
            needs = required > 0 or any(default is None for default in signature.kw_defaults)
            yield prefix + child.name, Function(first, needs)
            inner = f"{prefix}{child.name}.<locals>."
        elif isinstance(child, ast.ClassDef):
            inner = f"{prefix}{child.name}."
        yield from _functions(child, inner)


def _find_main(name: str) -> importlib.machinery.ModuleSpec:
    try:
        spec = _find_unimported(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = _find_unimported("__main__", name, spec.submodule_search_locations)
        spec = spec or importlib.util.find_spec(name)  # a package may say in its own code where its parts are
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except SyntaxError as error:  # of the package around it, or of a module in a zip file
        raise _not_compiled(error, error.filename or f"module {name!r}") from error
    except Exception as error:  # finders, and packages that have to be imported, are anybody's code
        if isinstance(error, ValueError) and "null byte" in str(error):  # no SyntaxError before 3.12
            raise _not_compiled(error, f"module {name!r}") from error
        raise CwmTraceError(f"cannot find module {name!r}: {error}") from error
    if spec is None:
        raise CwmTraceError(f"there is no module {name!r} that can be run")
    return spec


def _find_unimported(
    name: str, package: str = "", path: Sequence[str] | None = None
) -> importlib.machinery.ModuleSpec | None:
    """The spec of a module, without an import of the packages around it."""
    spec = None
    for part in name.split("."):
        if spec is not None:
            path = spec.submodule_search_locations
            if path is None:
                return None
        package = f"{package}.{part}" if package else part
        specs = (finder.find_spec(package, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return None
    return spec


def _source_of(spec: importlib.machinery.ModuleSpec) -> str | None:
    """The text of a module, if its loader has it."""
    loader = spec.loader
    if isinstance(loader, importlib.machinery.SourceFileLoader) and spec.origin is not None:
        return _decode(_read(spec.origin), spec.origin)
    if not spec.has_location or not hasattr(loader, "get_source"):
        return None
    try:
        text: str | None = loader.get_source(spec.name)  # type: ignore[union-attr]
    except (ImportError, SyntaxError, ValueError) as error:
        raise CwmTraceError(f"{spec.origin} is not Python source: {_reason(error)}") from error
    return text


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except IsADirectoryError:
        raise CwmTraceError(f"{path} is a directory: name a Python file") from None
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # a null character in the name
        raise CwmTraceError(f"cannot read {path!r}: {error}") from error
    return data


def _decode(data: bytes, path: str) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise CwmTraceError(f"{path} is not Python source: {_reason(error)}") from error
    _require_code(text, path)
    return text


def _with_newlines(text: str) -> str:
    """Source text with the line endings that Python reads it with."""
    return io.StringIO(text, newline=None).read()


def _require_code(text: str, where: str) -> None:
    if not text.strip():
        raise CwmTraceError(f"{where} is empty: there is nothing to trace")


def _compile(source: str | bytes, filename: str, where: str) -> CodeType:
    try:
        return compile(source, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise _not_compiled(error, where) from error


def _not_compiled(error: Exception, where: str) -> CwmTraceError:
    line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    return CwmTraceError(f"{where}{line} cannot be compiled: {_reason(error)}")


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return str(error) or type(error).__name__


def _module_name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    return re.sub(r"\W", "_", stem) or "source"

"""Statements that can be run by themselves from a state that is only text.

Covered are the kinds in `KINDS` where the whole statement stands alone on one line and what it does follows
from the values of its variables: no calls but of builtins and of methods, no names but local variables and
builtins, nothing that shows an object's identity or the order of a set, no frame of its own (comprehension,
lambda).
"""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

from cwm_trace.flow.graph import line_successors

KINDS = ("assignment", "augmented assignment", "expression", "if", "while", "return")

PURE_BUILTINS = frozenset(
    {
        *(
            "abs",
            "all",
            "any",
            "ascii",
            "bin",
            "bool",
            "bytes",
            "callable",
            "chr",
            "complex",
            "dict",
            "divmod",
        ),
        *("enumerate", "filter", "float", "format", "hex", "int", "isinstance", "issubclass", "len", "list"),
        *("map", "max", "min", "oct", "ord", "pow", "print", "range", "repr", "reversed", "round", "slice"),
        *("sorted", "str", "sum", "tuple", "zip"),
        *("ArithmeticError", "AssertionError", "AttributeError", "Exception", "IndexError", "KeyError"),
        *("LookupError", "NameError", "OverflowError", "RuntimeError", "StopIteration", "TypeError"),
        *("UnicodeError", "ValueError", "ZeroDivisionError"),
    }
)
"""Builtins whose result follows from their arguments alone."""

_FRAMES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_PAUSES = (ast.Yield, ast.YieldFrom, ast.Await)
_SIMPLE = {
    ast.Assign: "assignment",
    ast.AnnAssign: "assignment",
    ast.AugAssign: "augmented assignment",
    ast.Expr: "expression",
    ast.If: "if",
    ast.While: "while",
    ast.Return: "return",
}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a program that can be run by itself.

    Args:
        kind: one of `KINDS`.
        source: what is run: the statement, or the expression that is tested or returned.
        first: first line of the function around it; 0 for module-level code.
        needs: names that must be bound: the local ones that it reads, and whatever is no pure builtin.
        then, otherwise: the line that comes next, and for a test that fails, the other one; 0: the function
            returns.
    """

    kind: str
    source: str
    first: int
    needs: frozenset[str]
    then: int
    otherwise: int


@functools.lru_cache(maxsize=1 << 10)
def find_statements(source: str) -> dict[int, Statement]:
    """The covered statements of a program by their line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            code = compile(source, "<source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return {}
    shared = _module_names(tree)
    drops = any(
        isinstance(part, ast.Yield | ast.YieldFrom | ast.GeneratorExp)
        or (isinstance(part, ast.FunctionDef) and part.name == "__del__")
        for part in ast.walk(tree)
    )
    found: dict[int, Statement] = {}
    starts: dict[int, int] = {}
    for node, _ in _statements(tree, None):
        for line in range(node.lineno, _header_end(node) + 1):
            starts[line] = starts.get(line, 0) + 1
    for node, function in _statements(tree, None):
        if starts[node.lineno] == 1 and type(node) in _SIMPLE:
            part = code if function is None else _code_of(code, function)
            statement = None if part is None else _read(node, part, part is code, shared)
            if statement is not None and not _runs_more(statement, function or tree, drops):
                found[node.lineno] = statement
    return found


def _read(node: ast.stmt, code: CodeType, is_module: bool, shared: frozenset[str]) -> Statement | None:
    kind = _SIMPLE[type(node)]
    run = _run_part(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
        return None
    if code.co_freevars or code.co_cellvars or _header_end(node) != node.lineno:
        return None
    if run is not None and not all(map(_is_pure, ast.walk(run))):
        return None
    names = [part for part in ast.walk(run) if isinstance(part, ast.Name)] if run is not None else []
    loads = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    stores = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    if isinstance(node, ast.AugAssign):
        loads |= stores
    local = shared if is_module else frozenset(code.co_varnames)
    if is_module and isinstance(node, ast.AnnAssign):  # its annotation is run as well
        return None
    if any(name.startswith("__") for name in stores):  # no variables that a trace shows
        return None
    if not stores <= local or (not is_module and (loads & shared) - local):
        return None
    after = line_successors(code).get(node.lineno, set())
    then = otherwise = next(iter(after), -1)
    if isinstance(node, ast.If | ast.While):
        then = node.body[0].lineno
        others = after - {then}
        if then not in after or len(others) != 1:
            return None
        otherwise = next(iter(others))
    elif len(after) != 1 or (isinstance(node, ast.Return) and then):
        return None
    first = 0 if is_module else code.co_firstlineno
    text = "None" if run is None else ast.unparse(run)
    return Statement(kind, text, first, frozenset(loads & local | loads - PURE_BUILTINS), then, otherwise)


def _runs_more(statement: Statement, around: ast.AST, drops: bool) -> bool:
    """Whether the function can end after it in a way that it does not tell.

    In a `finally` a return may have been under way before it. And a loop that is left drops its iterator: a
    generator runs on then.
    """
    if 0 not in (statement.then, statement.otherwise):
        return False
    loops = any(isinstance(part, ast.For | ast.AsyncFor) for part in ast.walk(around))
    finishes = any(getattr(part, "finalbody", None) for part in ast.walk(around))
    return (statement.kind != "return" and finishes) or (drops and loops)


def _run_part(node: ast.stmt) -> ast.AST | None:
    """What is run of a statement: an expression for tests and returns."""
    match node:
        case ast.If(test=part) | ast.While(test=part):
            return part
        case ast.Return(value=value):
            return value
        case ast.AnnAssign(target=target, value=value) if value is not None:  # a local annotation is not run
            return ast.fix_missing_locations(ast.Assign([target], value, lineno=node.lineno))
        case _:
            return node


def _is_pure(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return not name.startswith("__")
        case ast.Call(func=ast.Name() | ast.Attribute()):
            return True
        case ast.Call():
            return False
        case ast.Attribute(attr=name, ctx=context):
            return not name.startswith("_") and isinstance(context, ast.Load)
        case ast.Compare(ops=ops, comparators=others):
            constants = all(isinstance(o, ast.Constant) and o.value in (None, True, False) for o in others)
            return constants or not any(isinstance(op, ast.Is | ast.IsNot) for op in ops)
        case ast.Set():
            return False
        case _:
            return not isinstance(node, _FRAMES + _PAUSES)


def _header_end(node: ast.stmt) -> int:
    """The last line of a statement, of a compound one that of its header."""
    match node:
        case ast.If(test=part) | ast.While(test=part):
            return part.end_lineno or part.lineno
        case ast.For() | ast.AsyncFor() | ast.With() | ast.AsyncWith() | ast.Try() | ast.Match():
            return node.lineno
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.lineno
        case _:
            return node.end_lineno or node.lineno


def _statements(
    node: ast.AST, function: ast.FunctionDef | ast.AsyncFunctionDef | None
) -> Iterator[tuple[ast.stmt, ast.FunctionDef | ast.AsyncFunctionDef | None]]:
    """Every statement outside of classes, with the function around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child, function
        if isinstance(child, ast.ClassDef):
            continue
        yield from _statements(child, child if isinstance(child, _FUNCTIONS) else function)


def _module_names(tree: ast.Module) -> frozenset[str]:
    """Names that module-level code may bind, functions and imports included."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add((other or name).partition(".")[0])
            case ast.Global(names=names):
                found.update(names)
    for statement in tree.body:
        found |= {
            n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
    return frozenset(found)


def _code_of(code: CodeType, function: ast.FunctionDef | ast.AsyncFunctionDef) -> CodeType | None:
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_firstlineno == first and constant.co_name == function.name:
                return constant
            found = _code_of(constant, function)
            if found is not None:
                return found
    return None

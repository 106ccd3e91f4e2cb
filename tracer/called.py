"""Whether a call, given as text, can be one of a program: told from both texts, running nothing."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from cwm_trace.errors import CwmTraceError


def check_call(text: str, call: str, where: str = "the program") -> None:
    """Make sure that `call` calls something of a program, with names that it has.

    A program that may bind names in ways which its text does not show (`from x import *`, `exec`,
    `globals()`) is given the benefit of the doubt. What does not compile is left to those who compile it.

    Args:
        text: of the program.
        call: such as `f(3)`.
        where: what the program is called.

    Raises:
        CwmTraceError: it is no call, a call of a lambda, or has a name that the program lacks.
    """
    try:
        module = ast.parse(text)
        expression = ast.parse(call.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    called = expression.value if isinstance(expression, ast.Await) else expression
    if isinstance(called, ast.Lambda) or (
        isinstance(called, ast.Call) and isinstance(called.func, ast.Lambda)
    ):
        raise CwmTraceError(f"{call!r} is a lambda: give a call of a function in {where}, such as f(3)")
    if not isinstance(called, ast.Call):
        name = ast.unparse(called) if isinstance(called, ast.Name | ast.Attribute) else "f"
        raise CwmTraceError(f"{call!r} is not a call: give the arguments, such as {name}(3)")
    known = set(_bound(module.body))
    if known & _HIDDEN:
        return
    missing = sorted(set(_free(expression)) - known - set(dir(builtins)) - set(_MODULE_NAMES))
    if missing:
        functions = [node.name for node in module.body if isinstance(node, _DEFINITIONS)]
        has = ", ".join(functions) if functions else "no functions"
        raise CwmTraceError(f"{where} has no {missing[0]!r} for {call!r}: it has {has}")


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_HIDDEN = {"*", "exec", "globals", "vars", "locals", "setattr"}
_MODULE_NAMES = ("__name__", "__file__", "__builtins__", "__doc__", "__spec__", "__loader__", "__package__")


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Names that a module may bind, and those of what may bind others behind its back."""
    for node in ast.walk(ast.Module(body, [])):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Name(id=name) if name in _HIDDEN:
                yield name
            case ast.Global(names=names):
                yield from names
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name


def _free(expression: ast.expr) -> Iterator[str]:
    """Names that an expression reads and does not bind itself."""
    nodes = [*ast.walk(expression)]
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in own:
            yield node.id

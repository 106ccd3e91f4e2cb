"""What a program's text says about its functions: which of them a CALL may enter, and which may wait.

The wire writes a resumed generator as a CALL, like a new one; what its line defines tells the two apart.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

Span = tuple[int, int]
"""First and last line, both included."""

_COMPREHENSIONS = (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)
_ITERATOR = ".0"  # the argument of a comprehension
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)


@dataclass(frozen=True, eq=False, slots=True)  # two of the same line are two
class Function:
    """A function, lambda, comprehension or class body.

    Args:
        span: its lines, those of its decorators included.
        arguments: names that every first CALL of it shows.
        own: names that it binds itself, so that no first CALL of it shows them.
        waits: lines on which it may be suspended; none if it is neither a generator nor a coroutine.
        held: names that it has bound whenever it is suspended.
    """

    span: Span
    arguments: frozenset[str]
    own: frozenset[str]
    waits: frozenset[int]
    held: frozenset[str]

    def may_begin(self, names: Set[str]) -> bool:
        """Whether a first CALL of it can show these names."""
        return self.arguments <= names and self.own.isdisjoint(names)

    def may_go_on(self, names: Set[str]) -> bool:
        """Whether a CALL that resumes it can show these names."""
        return bool(self.waits) and self.held <= names


@functools.lru_cache(maxsize=64)
def find_functions(text: str) -> tuple[Function, ...]:
    """The functions of a program; none if Python cannot read it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    drafts: list[_Draft] = []
    todo: list[tuple[ast.AST, _Draft | None]] = [(tree, None)]
    while todo:
        node, around = todo.pop()
        if isinstance(node, _BLOCKS):
            drafts.append(_Draft(node, around))
            inside = drafts[-1].inside
            todo += ((part, drafts[-1] if part in inside else around) for part in _parts(node))
            continue
        if around is not None:
            around.note(node)
        todo += ((part, around) for part in ast.iter_child_nodes(node))
    return tuple(draft.finish() for draft in drafts)


@dataclass(eq=False, slots=True)
class _Draft:
    """A function that is being read, and the one around it."""

    node: ast.AST
    around: _Draft | None
    arguments: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    waits: set[int] = field(default_factory=set)
    others: set[str] = field(default_factory=set)  # of its names, those that are another's
    awaits: bool = False
    inside: set[ast.AST] = field(default_factory=set)
    """Those of its parts that run in it; the rest (decorators, defaults, the first iterable) runs before."""

    def __post_init__(self) -> None:
        match self.node:
            case ast.Lambda(args=arguments, body=body):
                self.arguments = _names(arguments)
                self.inside = {body}
            case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
                self.arguments = _names(arguments)
                self.inside = set(self.node.body)
            case ast.ClassDef(body=statements):
                self.inside = set(statements)
            case _:
                self._begin_comprehension()

    def _begin_comprehension(self) -> None:
        assert isinstance(self.node, _COMPREHENSIONS)
        self.arguments = {_ITERATOR}
        clauses = self.node.generators
        self.inside = {*_parts(self.node)} - {clauses[0].iter}
        for clause in clauses:
            self.own.update(
                name.id
                for name in ast.walk(clause.target)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            )
        if isinstance(self.node, ast.GeneratorExp):
            self.waits.update(_lines(self.node))
        if any(clause.is_async for clause in clauses):
            self.wait(_lines(self.node))

    def note(self, node: ast.AST) -> None:
        """Take a node that runs in it."""
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                if self.binder is not None:
                    self.binder.own.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                self.others.update(names)
            case ast.Yield() | ast.YieldFrom():
                self.waits.add(node.lineno)
            case ast.Await():
                self.wait([node.lineno])
            case ast.AsyncFor() | ast.AsyncWith():
                self.wait(range(node.lineno, node.body[0].lineno + 1))

    @property
    def binder(self) -> _Draft | None:
        """What a name is bound in, by `:=` too: the first that is no comprehension; None: the module."""
        one: _Draft | None = self
        while one is not None and isinstance(one.node, _COMPREHENSIONS):
            one = one.around
        return one

    def wait(self, lines: Iterable[int]) -> None:
        """Count lines on which it awaits; those around a comprehension await it."""
        lines = set(lines)
        one: _Draft | None = self
        while one is not None:
            one.waits |= lines
            one.awaits = True
            if not isinstance(one.node, _COMPREHENSIONS):
                break
            lines |= set(_lines(one.node))
            one = one.around

    def finish(self) -> Function:
        """The function, all of which has been read."""
        lines = _lines(self.node)
        own = {name for name in self.own - self.arguments - self.others if not name.startswith("__")}
        is_generator = isinstance(self.node, ast.GeneratorExp) and not self.awaits
        return Function(
            (lines[0], lines[-1]),
            frozenset(name for name in self.arguments if not name.startswith("__")),  # a class mangles them
            frozenset() if isinstance(self.node, ast.ClassDef) else frozenset(own),
            frozenset(self.waits),
            frozenset(own if is_generator else ()),
        )


def _parts(node: ast.AST) -> list[ast.AST]:
    """What a function is made of; the targets of a comprehension are its own."""
    if isinstance(node, _COMPREHENSIONS):
        results = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.comprehension)]
        return [*results, *(part for clause in node.generators for part in (clause.iter, *clause.ifs))]
    return list(ast.iter_child_nodes(node))


def _names(arguments: ast.arguments) -> set[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {one.arg for one in (*every, arguments.vararg, arguments.kwarg) if one is not None}


def _lines(node: ast.AST) -> range:
    """The lines of a function or comprehension, those of its decorators included."""
    assert isinstance(node, _BLOCKS)
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (node.end_lineno or node.lineno) + 1)

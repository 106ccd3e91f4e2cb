"""Renaming the local variables of a program, by editing its text and checking the tree."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterator, Mapping

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.names import NAMES

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<prefix>(?<!\w)[rRbBuUfF]{0,2})(?P<string>\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''
        |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<attribute>\.\s*[^\W\d]\w*)
    |(?P<name>[^\W\d]\w*)""",
    re.VERBOSE | re.DOTALL,
)
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}!:]*)")
_LOOKS_NAMES_UP = re.compile(r"\b(locals|globals|vars|dir|eval|exec|getattr|setattr|delattr|inspect)\b")


def rename(source: str, tree: ast.Module, draw: Draw) -> tuple[str, int] | None:
    """Give the local variables of all functions other names; None where there are none."""
    if _LOOKS_NAMES_UP.search(source):
        return None
    old = [name for name in _local_names(tree) if not re.search(rf"\{{{name} *=", source)]
    used = (
        set(re.findall(r"\w+", source)) | set(dir(builtins)) | set(keyword.kwlist) | set(keyword.softkwlist)
    )
    pool = sorted({name for names in NAMES.values() for name in names} - used)
    if not old:
        return None
    chosen = draw.sample(pool, min(len(old), len(pool)))
    new = dict(zip(old, chosen, strict=False))
    text = replace_names(source, new)
    expected = _Renamer(new).visit(tree)
    try:
        same = ast.dump(ast.parse(text)) == ast.dump(expected)
    except SyntaxError:
        same = False
    return (text, 1) if same else None


def replace_names(source: str, new: Mapping[str, str]) -> str:
    r"""Replace names in code and in the fields of f-strings, not in other strings, attributes and comments.

    >>> replace_names("n = x.n  # n\nreturn f'{n:n} n {{n}}'", {"n": "m"})
    "m = x.n  # n\nreturn f'{m:n} n {{n}}'"
    """

    def replace(match: re.Match[str]) -> str:
        if match["name"]:
            return new.get(match["name"], match["name"])
        if match["string"] and "f" in match["prefix"].lower():
            return match["prefix"] + _FIELD.sub(replace_field, match["string"])
        return match[0]

    def replace_field(match: re.Match[str]) -> str:
        return "{" + replace_names(match[1], new) if match[1] else match[0]

    return _TOKEN.sub(replace, source)


def _local_names(tree: ast.Module) -> list[str]:
    """Names that are parameters or variables of functions and nothing else."""
    found: dict[str, None] = {}
    other = {"self", "cls", "_"}
    for node, inside in _walk(tree, False):
        if isinstance(node, ast.arg):
            found[node.arg] = None
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if inside:
                found[node.id] = None
            else:
                other.add(node.id)
        elif isinstance(node, ast.keyword) and node.arg:
            other.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            other.add(node.name)
        elif isinstance(node, ast.Global):
            other.update(node.names)
        elif isinstance(node, ast.alias):
            other.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.MatchClass):
            other.update(node.kwd_attrs)
        else:
            found.update((name, None) for _, name in _name_fields(node))
    return [name for name in found if name not in other]


def _walk(node: ast.AST, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it is in a function, not counting classes inside one."""
    for child in ast.iter_child_nodes(node):
        yield child, inside
        scope = isinstance(child, ast.FunctionDef | ast.Lambda)
        yield from _walk(child, scope or (inside and not isinstance(child, ast.ClassDef)))


def _name_fields(node: ast.AST) -> list[tuple[str, str]]:
    """Fields of a node that hold a variable's name as text, with that name."""
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return [("name", node.name)]
    return [("rest", node.rest)] if isinstance(node, ast.MatchMapping) and node.rest else []


class _Renamer(ast.NodeVisitor):
    """Renames in a tree."""

    def __init__(self, new: Mapping[str, str]) -> None:
        self.new = new

    def visit(self, node: ast.AST) -> ast.AST:
        """Rename in a node and all below it."""
        if isinstance(node, ast.Name):
            node.id = self.new.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = self.new.get(node.arg, node.arg)
        elif isinstance(node, ast.Nonlocal):
            node.names = [self.new.get(name, name) for name in node.names]
        for name, value in _name_fields(node):
            setattr(node, name, self.new.get(value, value))
        for child in ast.iter_child_nodes(node):
            self.visit(child)
        return node

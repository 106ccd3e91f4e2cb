"""Expressions are worked out from their trees: nothing is compiled, and nothing of a program runs.

What names stand for, which calls there are and how large a value may become is for those who use it to say.
"""

from __future__ import annotations

import ast
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
"""Operators whose result is little larger than what they are given, products of sequences apart."""
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


class Evaluator(ABC):
    """Works expressions out, as far as they are made of what `find` knows.

    Whatever an operation raises is raised: a division by zero, two values that cannot be compared.
    """

    comparisons = COMPARISONS

    def find(self, node: ast.expr) -> Any:
        """The value of an expression."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.find_name(name)
            case ast.Tuple(elts=parts):
                return tuple(map(self.find, parts))
            case ast.List(elts=parts):
                return list(map(self.find, parts))
            case ast.Set(elts=parts):
                return set(map(self.find, parts))
            case ast.Dict(keys=keys, values=values) if None not in keys:
                pairs = zip(keys, values, strict=True)
                return {self.find(key): self.find(value) for key, value in pairs if key is not None}
            case ast.UnaryOp(op=op, operand=operand):
                return self.apply(op, self.find(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self.combine(op, self.find(left), self.find(right))
            case ast.BoolOp(op=op, values=parts):
                value = None
                for part in parts:
                    value = self.find(part)
                    if bool(value) is isinstance(op, ast.Or):
                        break
                return value
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compare(self.find(left), ops, others)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.find(body if self.find(test) else orelse)
            case ast.Subscript(value=value, slice=index):
                return self.find(value)[self._find_index(index)]
        return self.find_other(node)

    @abstractmethod
    def find_name(self, name: str) -> Any:
        """The value of a variable."""

    @abstractmethod
    def find_other(self, node: ast.expr) -> Any:
        """The value of a call, or of anything else that is none of the above."""

    @abstractmethod
    def apply(self, op: ast.unaryop, value: Any) -> Any:
        """What an operator makes of a value."""

    @abstractmethod
    def combine(self, op: ast.operator, left: Any, right: Any) -> Any:
        """What an operator makes of two values."""

    def _compare(self, left: Any, ops: list[ast.cmpop], others: list[ast.expr]) -> bool:
        for op, other in zip(ops, others, strict=True):
            right = self.find(other)
            if not self.comparisons[type(op)](left, right):
                return False
            left = right
        return True

    def _find_index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            return slice(
                *(None if end is None else self.find(end) for end in (node.lower, node.upper, node.step))
            )
        return self.find(node)

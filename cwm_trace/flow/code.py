"""One code object, decoded: where control can go from each instruction, and what each may do to names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from types import CodeType
from typing import NamedTuple

from cwm_trace.flow import bytecodes as py

Edge = tuple[int, int]
"""From one instruction to another, by index; `AT` instead of the first: its line event has happened."""

AT = -1
ENTRY = -2
"""Instead of the first: the activation begins."""


class Instruction(NamedTuple):
    """An instruction without its prefixes and caches."""

    number: int
    argument: int
    line: int | None
    target: int
    """Index of the instruction that it can jump to; -1: it does not jump."""


class Code:
    """One code object of a program.

    Args:
        raw: the code object.
        file: number of its source file.
        parent: the code that it is a constant of; None for a module.
    """

    def __init__(self, raw: CodeType, file: int, parent: Code | None) -> None:
        self.raw = raw
        self.file = file
        self.parent = parent
        self.name = raw.co_name
        self.is_module = parent is None
        self.is_function = bool(raw.co_flags & 2)  # CO_NEWLOCALS: not a module, not a class body
        self.is_optimized = bool(raw.co_flags & 1)
        self.is_generator = bool(raw.co_flags & (0x20 | 0x80 | 0x200))
        self.call_line = py.MODULE_CALL_LINE if self.is_module else raw.co_firstlineno
        count = raw.co_argcount + raw.co_kwonlyargcount + bool(raw.co_flags & 4) + bool(raw.co_flags & 8)
        self.arguments = raw.co_varnames[:count]

    @cached_property
    def decoded(self) -> _Decoded:
        """Its instructions, by index and by unit."""
        return _decode(self.raw)

    @cached_property
    def instructions(self) -> list[Instruction]:
        """Every instruction, in order."""
        return self.decoded.instructions

    @cached_property
    def entry(self) -> int:
        """Index of the first instruction behind the prologue."""
        if py.RESUME < 0:
            return int(self.instructions[0].number in py.PROLOGUE and self.is_generator)
        numbers = [instruction.number for instruction in self.instructions]
        return numbers.index(py.RESUME) + 1 if py.RESUME in numbers else 0

    @cached_property
    def handlers(self) -> list[int]:
        """Index of the handler that an exception of each instruction goes to; -1: out of the code."""
        return _table(self) if py.HAS_EXCEPTION_TABLE else _blocks(self.instructions)

    @cached_property
    def lines(self) -> dict[int, list[int]]:
        """Instructions by their line."""
        found: dict[int, list[int]] = {}
        for index, instruction in enumerate(self.instructions):
            if instruction.line is not None:
                found.setdefault(instruction.line, []).append(index)
        return found

    @cached_property
    def cells(self) -> frozenset[str]:
        """Names that it shares with functions around it or within it."""
        return frozenset((*self.raw.co_cellvars, *self.raw.co_freevars))

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """Names by the argument of STORE_DEREF."""
        raw = self.raw
        if not py.SHARED_SLOTS:
            return (*raw.co_cellvars, *raw.co_freevars)
        own = raw.co_varnames
        return (*own, *(name for name in raw.co_cellvars if name not in own), *raw.co_freevars)

    def stored(self, instruction: Instruction) -> tuple[str, ...]:
        """Names that an instruction binds or unbinds in this activation."""
        number, argument, raw = instruction.number, instruction.argument, self.raw
        if number in py.STORES_LOCAL:
            return (raw.co_varnames[argument],)
        if number in py.STORES_CELL:
            return (self.slots[argument],)
        if number in py.STORES_NAME or number in py.STORES_GLOBAL:
            return (raw.co_names[argument],)
        if number in py.STORES_LOCALS:
            return raw.co_varnames[argument >> 4], raw.co_varnames[argument & 15]
        if number in py.STORES_AND_LOADS:
            return (raw.co_varnames[argument >> 4],)
        if number == py.SETUP_ANNOTATIONS:
            return ("__annotations__",)
        return ()

    def imports_all(self, instruction: Instruction) -> bool:
        """Whether an instruction is `from module import *`."""
        if instruction.number == py.INTRINSIC:
            return instruction.argument == py.INTRINSIC_IMPORT_STAR
        return instruction.number == py.IMPORT_STAR

    def raises_again(self, instruction: Instruction) -> bool:
        """Whether an instruction raises without an event."""
        if instruction.number == py.RAISE_VARARGS:
            return instruction.argument == 0
        return instruction.number in py.RAISES_AGAIN

    @cached_property
    def after(self) -> list[list[int]]:
        """Instructions that can run after each, if that raises nothing."""
        found = []
        for index, (number, _, _, target) in enumerate(self.instructions, start=1):
            jumps = target >= 0 and number not in py.SETS_HANDLER
            falls = number not in py.NO_FALL and index < len(self.instructions)
            found.append([target] * jumps + [index] * falls)
        return found


class _Decoded(NamedTuple):
    instructions: list[Instruction]
    index_of: list[int]
    """Of the instruction that each unit (two bytes) of the code belongs to."""


def _decode(raw: CodeType) -> _Decoded:
    data = raw.co_code
    count = len(data) // 2
    lines: list[int | None] = [None] * count
    for start, end, line in raw.co_lines():
        lines[start // 2 : end // 2] = [line] * (end // 2 - start // 2)
    index_of: list[int] = []
    starts: list[tuple[int, int, int, int]] = []  # number, argument, its unit, the unit behind it
    prefix, unit = 0, 0
    while unit < count:
        number, argument = data[2 * unit], data[2 * unit + 1] | prefix
        if number == py.EXTENDED_ARG:
            prefix = argument << 8
            index_of.append(len(starts))
            unit += 1
            continue
        after = unit + 1 + py.CACHES[number]
        index_of += [len(starts)] * (after - unit)
        starts.append((number, argument, unit, after))
        unit, prefix = after, 0
    instructions = []
    for number, argument, unit, after in starts:
        target = -1
        if number in py.JUMPS:
            if number in py.ABSOLUTE_JUMPS:
                target = index_of[argument]
            else:
                target = index_of[after - argument if number in py.BACKWARD_JUMPS else after + argument]
        instructions.append(Instruction(number, argument, lines[unit], target))
    return _Decoded(instructions, index_of)


def _table(code: Code) -> list[int]:
    """3.11 and later: from `co_exceptiontable` (Objects/exception_handling_notes.txt in CPython's source)."""
    units = code.decoded.index_of
    handlers = [-1] * len(code.instructions)
    numbers = _varints(code.raw.co_exceptiontable)
    for start in numbers:
        length, target = next(numbers), next(numbers)
        next(numbers)  # depth of the stack
        first, last = units[start], units[start + length - 1]
        handlers[first : last + 1] = [units[target]] * (last + 1 - first)
    return handlers


def _varints(data: bytes) -> Iterator[int]:
    value = 0
    for byte in data:
        value = value << 6 | byte & 63
        if not byte & 64:
            yield value
            value = 0


def _blocks(instructions: list[Instruction]) -> list[int]:
    """3.10: handlers are pushed and popped as control goes along."""
    handlers = [-1] * len(instructions)
    seen: set[int] = set()
    todo: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    while todo:
        index, blocks = todo.pop()
        if index in seen or index >= len(instructions):
            continue
        seen.add(index)
        instruction = instructions[index]
        number = instruction.number
        handlers[index] = blocks[-1] if blocks else -1
        if number in py.SETS_HANDLER:
            todo.append((instruction.target, blocks))
            blocks = (*blocks, instruction.target)
        elif instruction.target >= 0:
            todo.append((instruction.target, blocks))
        if number == py.POP_BLOCK:
            blocks = blocks[:-1]
        if number not in py.NO_FALL:
            todo.append((index + 1, blocks))
    return handlers

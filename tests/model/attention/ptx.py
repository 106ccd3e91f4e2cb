"""Reading PTX, as far as NVRTC writes it for these kernels; anything else is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DIRECTIVES = re.compile(r"^\s*\.(reg|pragma|maxntid|minnctapersm)\b[^\n]*", re.MULTILINE)
ENTRY = re.compile(r"\.entry\s+(\w+)\s*\((.*?)\)(.*?)\n\{(.*?)\n\}", re.DOTALL)
PARAMETER = re.compile(r"\.param\s+\.align\s+8\s+\.b8\s+(\w+)\[(\d+)\]")
STATEMENT = re.compile(r"(?:@(!?)(%\w+)\s+)?([\w.:]+)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `@!%p1 add.s32 %r1, %r2, 3` has the guard %p1, negated."""

    guard: str | None
    negated: bool
    opcode: tuple[str, ...]  # "add.s32" at its dots
    operands: tuple[str, ...]
    text: str


@dataclass(slots=True)
class Entry:
    """A kernel: it takes one structure."""

    name: str
    argument_bytes: int
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)  # index of the instruction that follows


def read_ptx(text: str) -> dict[str, Entry]:
    """Return the kernels of a module by name."""
    entries = {}
    for name, parameters, _, body in ENTRY.findall(re.sub(r"//.*", "", text)):
        ((_, size),) = PARAMETER.findall(parameters)
        entry = entries[name] = Entry(name, int(size))
        for statement in re.split(r"(\$\w+:)|;", DIRECTIVES.sub("", body)):
            statement = (statement or "").strip()
            if statement.endswith(":"):
                entry.labels[statement[:-1]] = len(entry.instructions)
            elif statement:
                entry.instructions.append(_read_statement(statement))
    return entries


def _read_statement(statement: str) -> Instruction:
    match = STATEMENT.fullmatch(statement)
    assert match, f"not understood: {statement}"
    negated, guard, opcode, operands = match.groups()
    # commas within {a, b} and [a, b] do not separate operands
    parts = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", operands)
    return Instruction(guard, negated == "!", tuple(opcode.split(".")), tuple(parts), statement)

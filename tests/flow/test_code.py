"""The decoder against the standard library's own."""

from __future__ import annotations

import dis
import random
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

from cwm_trace.flow import bytecodes as py
from cwm_trace.flow.code import Code
from tests.flow.gate import TESTS


def nested(raw: CodeType) -> Iterator[CodeType]:
    yield raw
    for constant in raw.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def codes() -> Iterator[CodeType]:
    for path in sorted((TESTS / "flow" / "hazards").glob("*.py")):
        yield from nested(compile(path.read_text(encoding="utf-8"), path.name, "exec"))
    with open(random.__file__, encoding="utf-8") as file:
        yield from nested(compile(file.read(), "random.py", "exec"))


def long_jumps() -> CodeType:
    """A loop whose jumps need prefixes."""
    body = "".join(f"        x{n} = a[{n}] + {n}\n" for n in range(400))
    raw: CodeType = compile(
        f"def f(a):\n    while a:\n        if a: continue\n{body}", "<long>", "exec"
    ).co_consts[0]
    return raw


@pytest.mark.parametrize("raw", [*codes(), long_jumps()], ids=lambda raw: raw.co_name)
def test_instructions(raw: CodeType) -> None:
    expected: list[Any] = [
        i for i in dis.get_instructions(raw) if i.opcode not in (py.EXTENDED_ARG, py.CACHE)
    ]
    index = {instruction.offset: number for number, instruction in enumerate(expected)}
    found = Code(raw, 0, None).instructions
    assert [(i.number, i.argument) for i in found] == [(i.opcode, i.arg or 0) for i in expected]
    jumps = [(n, i.argval) for n, i in enumerate(expected) if i.opcode in py.JUMPS]
    for number, target in jumps:
        while target not in index:  # a prefix of the instruction
            target += 2
        assert found[number].target == index[target]


@pytest.mark.skipif(not py.HAS_EXCEPTION_TABLE, reason="3.10 keeps handlers on a stack")
@pytest.mark.parametrize("raw", [*codes()], ids=lambda raw: raw.co_name)
def test_handlers(raw: CodeType) -> None:
    parse: Any = dis._parse_exception_table  # type: ignore[attr-defined]
    expected: list[Any] = [i for i in dis.get_instructions(raw) if i.opcode != py.EXTENDED_ARG]
    entries = parse(raw)
    index = {instruction.offset: number for number, instruction in enumerate(expected)}
    handlers = Code(raw, 0, None).handlers
    for number, instruction in enumerate(expected):
        inside = [entry for entry in entries if entry.start <= instruction.offset < entry.end]
        assert handlers[number] == (index[inside[0].target] if inside else -1)

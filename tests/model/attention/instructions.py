"""What PTX instructions compute, on arrays of threads; the ISA's manual is the source of each.

`decode` turns an instruction into a function of the machine and of a mask of the threads that take part (None
for all), so that operands are looked at once and not every time.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.model.attention.ptx import Instruction

if TYPE_CHECKING:
    from tests.model.attention.emulator import Machine

Array = NDArray[Any]
Step = Callable[["Machine", "Array | None"], None]
Reader = Callable[["Machine"], Array]

TYPES: dict[str, Any] = {
    "u64": np.uint64, "s64": np.int64, "b64": np.uint64, "u32": np.uint32, "s32": np.int32, "b32": np.uint32,
    "f32": np.float32, "pred": np.bool_,
}  # fmt: skip
WIDER = {"s32": "s64", "u32": "u64"}
BITS: dict[int, Any] = {1: np.bool_, 4: np.uint32, 8: np.uint64}


def reader(operand: str, kind: str) -> Reader:
    """Return how to read an operand as an array of a type."""
    dtype = np.dtype(TYPES[kind])
    if operand.startswith("%"):

        def read(machine: Machine) -> Array:
            value = machine.registers[operand]
            if value.itemsize != dtype.itemsize:
                raise AssertionError(f"{operand} read as {kind}")
            return value.view(dtype)

        return read
    if operand.startswith("0f"):
        value = np.array(struct.unpack(">f", bytes.fromhex(operand[2:])), np.float32)
    elif re.fullmatch(r"-?\d+|0x[0-9A-Fa-f]+", operand):
        number = int(operand, 0) & (2 ** (8 * dtype.itemsize) - 1)
        value = np.array([number], BITS[dtype.itemsize]).view(dtype)
    else:  # the one shared array and the one parameter: offsets count from their beginnings
        assert re.fullmatch(r"cwm_shared|\w+_param_0", operand), operand
        value = np.zeros(1, dtype)
    return lambda machine: np.broadcast_to(value, (machine.lanes,))


def write(machine: Machine, register: str, value: Array, mask: Array | None) -> None:
    """Set a register, in the threads of the mask."""
    value = value.view(BITS[value.itemsize])
    old = machine.registers.get(register)
    if mask is None or old is None:
        machine.registers[register] = value.copy()
    else:
        np.copyto(old, value, where=mask)


def address(operand: str, kind: str) -> Reader:
    """Return how to read `[%rd1+8]`."""
    match = re.fullmatch(r"\[([%\w]+)(?:\+(-?\d+))?\]", operand)
    assert match, operand
    base = reader(match[1], kind)
    offset = np.array([int(match[2] or 0)]).astype(TYPES[kind])
    return lambda machine: base(machine) + offset


def registers(operand: str) -> list[str]:
    """Return the registers of `{%r1, %r2}`, or the one."""
    return re.findall(r"%\w+", operand)


# Arithmetic: a result from operands of one type


def divide(a: Array, b: Array) -> Array:
    """Integer division rounds towards zero."""
    quotient = np.trunc(a.astype(np.float64) / np.where(b == 0, 1, b))  # exact for 32 bits
    result: Array = quotient.astype(a.dtype)
    return result


def shift_left(a: Array, b: Array) -> Array:
    width = 8 * a.itemsize
    result: Array = np.where(b < width, a << np.minimum(b, width - 1).astype(a.dtype), a.dtype.type(0))
    return result


def shift_right(a: Array, b: Array) -> Array:
    result: Array = a >> np.minimum(b, 8 * a.itemsize - 1).astype(a.dtype)
    return result


def fused(a: Array, b: Array, c: Array) -> Array:
    result: Array = (a.astype(np.float64) * b + c).astype(np.float32)
    return result


SIMPLE: dict[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": divide, "rcp": lambda a: np.float32(1) / a,
    "min": np.minimum, "max": np.maximum, "neg": np.negative, "mov": np.copy, "ex2": np.exp2, "lg2": np.log2,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.bitwise_not,
    "shl": shift_left, "shr": shift_right, "fma": fused, "mad": lambda a, b, c: a * b + c,
}  # fmt: skip
MODIFIERS = {"lo", "wide", "rn", "approx", "ftz"}


def _decode_simple(instruction: Instruction) -> Step:
    name, *modifiers, kind = instruction.opcode
    assert set(modifiers) <= MODIFIERS, instruction.text
    target, *sources = instruction.operands
    operation = SIMPLE[name]
    kinds = [kind] * len(sources)
    if name in ("shl", "shr"):
        kinds[1] = "u32"
    wide = "wide" in modifiers
    if wide and name == "mad":
        kinds[2] = WIDER[kind]
    readers = [reader(source, kind) for source, kind in zip(sources, kinds, strict=True)]
    wider = TYPES[WIDER[kind]] if wide else None

    def step(machine: Machine, mask: Array | None) -> None:
        values = [read(machine) for read in readers]
        if wider is not None:
            values = [value.astype(wider) for value in values]
        write(machine, target, operation(*values), mask)

    return step


# Comparison, choice, conversion

COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal,
    "leu": lambda a, b: ~(a > b), "ltu": lambda a, b: ~(a >= b),  # true for NaN, too
    "gtu": lambda a, b: ~(a <= b), "geu": lambda a, b: ~(a < b),
}  # fmt: skip


def _setp(instruction: Instruction) -> Step:
    _, comparison, kind = instruction.opcode
    target, *sources = instruction.operands
    a, b = (reader(source, kind) for source in sources)
    compare = COMPARE[comparison]
    return lambda machine, mask: write(machine, target, compare(a(machine), b(machine)), mask)


def _selp(instruction: Instruction) -> Step:
    target, *sources = instruction.operands
    a, b = (reader(source, instruction.opcode[1]) for source in sources[:2])
    choice = reader(sources[2], "pred")
    return lambda machine, mask: write(
        machine, target, np.where(choice(machine), a(machine), b(machine)), mask
    )


def _bfi(instruction: Instruction) -> Step:
    target, *sources = instruction.operands
    a, b, position, length = (reader(source, "u32") for source in sources)

    def step(machine: Machine, mask: Array | None) -> None:
        at, count = (x(machine).astype(np.uint64) for x in (position, length))
        bits = ((np.uint64(1) << count) - np.uint64(1)) << at
        into, what = b(machine).astype(np.uint64), a(machine).astype(np.uint64) << at
        write(machine, target, ((into & ~bits) | (what & bits)).astype(np.uint32), mask)

    return step


def narrow(x: Array, fp16: bool) -> Array:
    """Round float32 to 16 bits, to nearest, ties to even; NaN as the GPU writes it."""
    bits: Array
    if fp16:
        bits = x.astype(np.float16).view(np.uint16).astype(np.uint32)
    else:
        whole = x.view(np.uint32)
        bits = (whole + 0x7FFF + (whole >> 16 & 1)) >> 16
    return np.where(np.isnan(x), np.uint32(0x7FFF), bits.astype(np.uint32))


def widen(bits: Array, fp16: bool) -> Array:
    """Turn the low 16 bits into float32."""
    if fp16:
        return (bits & 0xFFFF).astype(np.uint16).view(np.float16).astype(np.float32)
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _cvt(instruction: Instruction) -> Step:
    *modifiers, to, kind = instruction.opcode[1:]
    target, *sources = instruction.operands
    readers = [reader(source, kind) for source in sources]
    if to in ("bf16x2", "f16x2"):
        assert (modifiers, kind) == (["rn"], "f32"), instruction.text

        def step(machine: Machine, mask: Array | None) -> None:
            high, low = (narrow(read(machine), to == "f16x2") for read in readers)
            write(machine, target, high << np.uint32(16) | low, mask)

        return step
    assert not modifiers, instruction.text
    assert "f32" not in (to, kind), instruction.text
    return lambda machine, mask: write(machine, target, readers[0](machine).astype(TYPES[to]), mask)


def _cvta(instruction: Instruction) -> Step:
    target, source = instruction.operands
    read = reader(source, instruction.opcode[-1])
    return lambda machine, mask: write(machine, target, read(machine).copy(), mask)


SPECIAL: dict[str, Callable[[Instruction], Step]] = {
    "setp": _setp, "selp": _selp, "bfi": _bfi, "cvt": _cvt, "cvta": _cvta,
}  # fmt: skip


def decode(instruction: Instruction) -> Step:
    """Return what an instruction that computes does.

    Raises:
        NotImplementedError: Nobody taught it.
    """
    name = instruction.opcode[0]
    if name in SPECIAL:
        return SPECIAL[name](instruction)
    if name in SIMPLE:
        return _decode_simple(instruction)
    raise NotImplementedError(instruction.text)

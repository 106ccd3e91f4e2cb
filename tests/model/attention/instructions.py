"""What PTX instructions do, on arrays of threads; the ISA's manual is the source of each.

`decode` turns an instruction into a function of the machine and of a mask of the threads that take part (None:
all), so that operands are looked at once and not every time.
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

LANE = np.arange(32)
MAJOR, MINOR = LANE // 4, LANE % 4 * 2
"""Row and first column of a lane in a fragment of mma and ldmatrix."""


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
        machine.registers[register] = (
            value.copy() if value.base is not None or not value.flags.owndata else value
        )
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


def decode(instruction: Instruction) -> Step:
    """Return what an instruction does.

    Raises:
        NotImplementedError: Nobody taught it.
    """
    name = instruction.opcode[0]
    if name in ("bra", "ret", "bar"):
        return lambda machine, mask: None  # the machine's own
    if name in SPECIAL:
        return SPECIAL[name](instruction)
    if name in SIMPLE:
        return _decode_simple(instruction)
    raise NotImplementedError(instruction.text)


# Arithmetic: a result from operands of one type


def divide(a: Array, b: Array) -> Array:
    """Integer division rounds towards zero."""
    quotient = np.trunc(a.astype(np.float64) / np.where(b == 0, 1, b))  # exact for 32 bits
    return quotient.astype(a.dtype)


def shift_left(a: Array, b: Array) -> Array:
    width = 8 * a.itemsize
    return np.where(b < width, a << np.minimum(b, width - 1).astype(a.dtype), a.dtype.type(0))


def shift_right(a: Array, b: Array) -> Array:
    return a >> np.minimum(b, 8 * a.itemsize - 1).astype(a.dtype)


def fused(a: Array, b: Array, c: Array) -> Array:
    return (a.astype(np.float64) * b + c).astype(np.float32)


SIMPLE: dict[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": divide, "min": np.minimum, "max": np.maximum,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.bitwise_not, "neg": np.negative,
    "shl": shift_left, "shr": shift_right, "fma": fused, "mad": lambda a, b, c: a * b + c,
    "rcp": lambda a: np.float32(1) / a, "ex2": np.exp2, "lg2": np.log2, "mov": np.copy,
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
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "leu": lambda a, b: ~(a > b), "ltu": lambda a, b: ~(a >= b), "gtu": lambda a, b: ~(a <= b),
    "geu": lambda a, b: ~(a < b),
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


# Memory


def _memory(instruction: Instruction) -> Step:
    loads = instruction.opcode[0] == "ld"
    _, space, *modifiers, kind = instruction.opcode
    assert set(modifiers) <= {"nc", "v2"}, instruction.text
    item, place = instruction.operands if loads else instruction.operands[::-1]
    names = registers(item)
    assert len(names) == (2 if "v2" in modifiers else 1), instruction.text
    dtype = np.dtype(TYPES[kind])
    size = dtype.itemsize * len(names)
    where = address(place, "u32" if space == "shared" else "u64")
    columns = np.arange(len(names))

    def step(machine: Machine, mask: Array | None) -> None:
        lanes = np.arange(machine.lanes) if mask is None else np.flatnonzero(mask)
        addresses = where(machine)[lanes]
        pieces: list[tuple[Array, Array, Array]]
        if space == "global":
            pieces = machine.memory.find(addresses, size, not loads, instruction.text)
        elif space == "shared":
            pieces = [
                (
                    machine.shared,
                    np.arange(len(lanes)),
                    shared_places(machine, lanes, addresses, size, instruction),
                )
            ]
        else:
            pieces = [(machine.argument, np.arange(len(lanes)), addresses.astype(np.int64))]
        values = np.zeros((len(names), machine.lanes), dtype)
        for buffer, which, offsets in pieces:
            view = buffer[: buffer.size // dtype.itemsize * dtype.itemsize].view(dtype)
            places = offsets // dtype.itemsize
            if loads:
                values[:, lanes[which]] = view[places + columns[:, None]]
            else:
                for i, name in enumerate(names):
                    view[places + i] = machine.registers[name].view(dtype)[lanes[which]]
        if loads:
            for name, value in zip(names, values, strict=True):
                write(machine, name, value, mask)

    return step


def shared_places(
    machine: Machine, lanes: Array, addresses: Array, size: int, instruction: Instruction
) -> Array:
    """Return where in `machine.shared` each lane's address is."""
    addresses = addresses.astype(np.int64)
    if (addresses % size).any() or int(addresses.max()) + size > machine.shared_bytes:
        raise AssertionError(f"misaligned or outside of shared memory: {instruction.text}")
    return addresses + machine.shared_base[lanes]


def _cp(instruction: Instruction) -> Step:
    action = instruction.opcode[2]
    if action == "commit_group":

        def commit(machine: Machine, mask: Array | None) -> None:
            machine.groups += 1 if mask is None else mask

        return commit
    if action == "wait_group":
        left = int(instruction.operands[0])
        return lambda machine, mask: _land(machine, left, mask)
    assert instruction.opcode == ("cp", "async", "cg", "shared", "global", "L2::128B"), instruction.text
    to, source, size, given = instruction.operands
    assert size == "16", instruction.text
    target, begin, count = address(to, "u32"), address(source, "u64"), reader(given, "u32")

    def copy(machine: Machine, mask: Array | None) -> None:
        lanes = np.arange(machine.lanes) if mask is None else np.flatnonzero(mask)
        places = shared_places(machine, lanes, target(machine)[lanes], 16, instruction) // 16
        sizes = count(machine)[lanes]
        assert set(np.unique(sizes)) <= {0, 16}, f"{instruction.text} of {np.unique(sizes)} bytes"
        data = np.zeros((len(lanes), 16), np.uint8)
        live = np.flatnonzero(sizes)
        if len(live):
            found = machine.memory.find(begin(machine)[lanes[live]], 16, False, instruction.text)
            for buffer, which, offsets in found:
                data[live[which]] = buffer[offsets[:, None] + np.arange(16)]
        machine.shared.reshape(-1, 16)[places] = 0xFF
        machine.copies.append((lanes, machine.groups[lanes], places, data))

    return copy


def _land(machine: Machine, left: int, mask: Array | None) -> None:
    kept = []
    for lanes, groups, places, data in machine.copies:
        done = groups < machine.groups[lanes] - left
        if mask is not None:
            done &= mask[lanes]
        machine.shared.reshape(-1, 16)[places[done]] = data[done]
        if not done.all():
            kept.append((lanes[~done], groups[~done], places[~done], data[~done]))
    machine.copies = kept


# Collectives


def whole_warps(machine: Machine, mask: Array | None, instruction: Instruction) -> Array:
    """Return the warps that take part; a part of one is an error."""
    if mask is None:
        return np.arange(machine.lanes // 32)
    by_warp = mask.reshape(-1, 32)
    if (by_warp.any(1) != by_warp.all(1)).any():
        raise AssertionError(f"met by a part of a warp: {instruction.text}")
    return np.flatnonzero(by_warp.all(1))


def scatter(machine: Machine, name: str, warps: Array, values: Array, mask: Array | None) -> None:
    """Write `(warps, 32)` values to a register of these warps."""
    whole = np.zeros((machine.lanes // 32, 32), values.dtype)
    whole[warps] = values
    write(machine, name, whole.reshape(-1), mask)


def _shfl(instruction: Instruction) -> Step:
    assert instruction.opcode == ("shfl", "sync", "bfly", "b32"), instruction.text
    target, source, lanes, clamp, members = instruction.operands
    assert (clamp, members) == ("31", "-1"), instruction.text
    read = reader(source, "b32")
    other = LANE ^ int(lanes)

    def step(machine: Machine, mask: Array | None) -> None:
        warps = whole_warps(machine, mask, instruction)
        scatter(machine, registers(target)[0], warps, read(machine).reshape(-1, 32)[warps][:, other], mask)

    return step


def _ldmatrix(instruction: Instruction) -> Step:
    transposed = "trans" in instruction.opcode
    expected = (
        "ldmatrix",
        "sync",
        "aligned",
        "m8n8",
        "x4",
        *(["trans"] if transposed else []),
        "shared",
        "b16",
    )
    assert instruction.opcode == expected, instruction.text
    names, where = registers(instruction.operands[0]), address(instruction.operands[1], "u32")

    def step(machine: Machine, mask: Array | None) -> None:
        warps = whole_warps(machine, mask, instruction)
        lanes = (warps[:, None] * 32 + LANE).reshape(-1)
        places = shared_places(machine, lanes, where(machine)[lanes], 16, instruction) // 16
        rows = machine.shared.view(np.uint16).reshape(-1, 8)[places].reshape(-1, 4, 8, 8).astype(np.uint32)
        for matrix, name in enumerate(names):
            at = rows[:, matrix]
            if transposed:
                low, high = at[:, MINOR, MAJOR], at[:, MINOR + 1, MAJOR]
            else:
                low, high = at[:, MAJOR, MINOR], at[:, MAJOR, MINOR + 1]
            scatter(machine, name, warps, low | high << np.uint32(16), mask)

    return step


def _mma(instruction: Instruction) -> Step:
    fp16 = instruction.opcode[-2] == "f16"
    numbers = "f16" if fp16 else "bf16"
    expected = f"mma.sync.aligned.m16n8k16.row.col.f32.{numbers}.{numbers}.f32"
    assert ".".join(instruction.opcode) == expected, instruction.text
    targets, *sources = (registers(operand) for operand in instruction.operands)

    def step(machine: Machine, mask: Array | None) -> None:
        warps = whole_warps(machine, mask, instruction)
        a, b, c = ([machine.registers[name].reshape(-1, 32)[warps] for name in names] for names in sources)
        left = np.empty((len(warps), 16, 16), np.float32)
        right = np.empty((len(warps), 16, 8), np.float32)
        total = np.empty((len(warps), 16, 8), np.float32)
        for i in range(2):
            shift = np.uint32(16 * i)
            for part, (row, column) in enumerate(((0, 0), (8, 0), (0, 8), (8, 8))):
                left[:, MAJOR + row, MINOR + column + i] = widen(a[part] >> shift, fp16)
            for part, row in enumerate((0, 8)):
                right[:, MINOR + row + i, MAJOR] = widen(b[part] >> shift, fp16)
                total[:, MAJOR + row, MINOR + i] = c[2 * part + i].view(np.float32)
        total += left @ right
        for part, name in enumerate(targets):
            values = total[:, MAJOR + part // 2 * 8, MINOR + part % 2]
            scatter(machine, name, warps, np.ascontiguousarray(values).view(np.uint32), mask)

    return step


SPECIAL: dict[str, Callable[[Instruction], Step]] = {
    "setp": _setp, "selp": _selp, "bfi": _bfi, "cvt": _cvt, "cvta": _cvta, "ld": _memory, "st": _memory, "cp": _cp,
    "shfl": _shfl, "ldmatrix": _ldmatrix, "mma": _mma,
}  # fmt: skip

"""What PTX instructions move: memory, copies, and values between the threads of a warp."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tests.model.attention.instructions import (
    TYPES,
    Array,
    Step,
    address,
    decode,
    reader,
    registers,
    widen,
    write,
)
from tests.model.attention.ptx import Instruction

if TYPE_CHECKING:
    from tests.model.attention.emulator import Machine

LANE = np.arange(32)
MAJOR, MINOR = LANE // 4, LANE % 4 * 2
"""Row and first column of a lane in a fragment of mma and ldmatrix."""


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
    assert instruction.opcode[2:5] == ("cg", "shared", "global"), instruction.text
    assert instruction.opcode[5:] in ((), ("L2::128B",)), instruction.text  # a hint
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
    target, source, *controls = instruction.operands
    read, *controlled = (reader(operand, "b32") for operand in (source, *controls))

    def step(machine: Machine, mask: Array | None) -> None:
        warps = whole_warps(machine, mask, instruction)
        lanes, clamp, members = (int(read(machine)[warps[0] * 32]) for read in controlled)
        assert (clamp, members) == (31, 0xFFFFFFFF), f"not all lanes: {instruction.text}"
        values = read(machine).reshape(-1, 32)[warps][:, LANE ^ lanes]
        scatter(machine, registers(target)[0], warps, values, mask)

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
        for k in range(16):  # in the simulator's order; a GPU's own is not documented
            total += left[:, :, k, None] * right[:, None, k]
        for part, name in enumerate(targets):
            values = total[:, MAJOR + part // 2 * 8, MINOR + part % 2]
            scatter(machine, name, warps, np.ascontiguousarray(values).view(np.uint32), mask)

    return step


MOVES: dict[str, Callable[[Instruction], Step]] = {
    "ld": _memory, "st": _memory, "cp": _cp, "shfl": _shfl, "ldmatrix": _ldmatrix, "mma": _mma,
}  # fmt: skip


def decode_any(instruction: Instruction) -> Step:
    """Return what an instruction does; jumps and barriers are the machine's own."""
    name = instruction.opcode[0]
    if name in ("bra", "ret", "bar"):
        return lambda machine, mask: None
    return MOVES[name](instruction) if name in MOVES else decode(instruction)

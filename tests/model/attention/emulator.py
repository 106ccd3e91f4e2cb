"""Runs the PTX that NVRTC emitted, with numpy: every lane of every array is a thread of the grid.

It checks what the simulator cannot see: the inline assembly of prims.cuh (order of operands, modifiers,
byte counts) and what the compiler made of the source. Accesses outside of buffers are errors, as are
instructions nobody taught it, collectives that a part of a warp meets, and barriers that a part of a block
does. Copies by cp.async land when they are waited for, and poison their place until then. Races are not seen.

Threads run together as long as they are at the same instruction; the lowest one goes first, so those that
left a loop early wait for the others behind it.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cwm_trace.model.attention.cubins import compile_kernels
from cwm_trace.model.attention.nvrtc import Program
from tests.model.attention.instructions import Step
from tests.model.attention.moves import decode_any
from tests.model.attention.programs import compile_own
from tests.model.attention.ptx import Entry, read_ptx

BATCH = 64
"""Blocks that run together."""
Array = NDArray[Any]


class EmulatorError(AssertionError):
    """A kernel did what it must not."""


class Memory:
    """Buffers of global memory that kernels may touch: address, bytes, name, whether they may write."""

    def __init__(self, buffers: list[tuple[int, int, str, bool]]) -> None:
        self.buffers = sorted(buffers)
        self._starts = np.array([address for address, *_ in self.buffers], np.uint64)
        self._bytes = [
            np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
            for address, size, *_ in self.buffers
        ]

    def find(self, addresses: Array, size: int, write: bool, text: str) -> list[tuple[Array, Array, Array]]:
        """Return bytes of a buffer, which of the addresses are in it, and their offsets there."""
        if (addresses % np.uint64(size)).any():
            raise EmulatorError(f"misaligned: {text}")
        at = np.searchsorted(self._starts, addresses, side="right") - 1
        found = []
        for index in np.unique(at):
            which = np.flatnonzero(at == index)
            nowhere = 0, 0, "every buffer", False
            address, length, name, writable = self.buffers[index] if index >= 0 else nowhere
            offsets = (addresses[which] - np.uint64(address)).astype(np.int64)
            if index < 0 or int(offsets.max()) + size > length:
                raise EmulatorError(f"outside of {name}: {text}")
            if write and not writable:
                raise EmulatorError(f"write to {name}: {text}")
            found.append((self._bytes[index], which, offsets))
        return found


class Machine:
    """Some blocks of a launch.

    Args:
        entry: The kernel.
        argument: Bytes of its structure.
        blocks: Their coordinates, `(blocks, 2)`.
        threads: Of each.
        shared: Bytes of shared memory of each.
        memory: Global memory.
    """

    def __init__(
        self, entry: Entry, argument: Array, blocks: Array, threads: int, shared: int, memory: Memory
    ) -> None:
        self.entry, self.argument, self.memory = entry, argument, memory
        self.lanes = len(blocks) * threads
        self.threads = threads
        self.shared_bytes = -(-shared // 16) * 16
        self.shared = np.full(len(blocks) * self.shared_bytes, 0xFF, np.uint8)
        self.shared_base = np.repeat(np.arange(len(blocks)) * self.shared_bytes, threads)
        self.registers: dict[str, Array] = {
            "%tid.x": np.tile(np.arange(threads, dtype=np.uint32), len(blocks)),
            "%ctaid.x": np.repeat(blocks[:, 0], threads).astype(np.uint32),
            "%ctaid.y": np.repeat(blocks[:, 1], threads).astype(np.uint32),
        }
        self.groups = np.zeros(self.lanes, np.int64)
        """Groups of cp.async that each thread has committed."""
        self.copies: list[tuple[Array, Array, Array, Array]] = []
        """cp.async under way: threads, their groups, places in shared memory, 16 bytes each."""
        self.executed = 0

    def run(self, steps: list[Step]) -> None:
        """Run all blocks to their end."""
        end = len(steps)
        at = np.zeros(self.lanes, np.int64)
        waiting = np.zeros(self.lanes, bool)
        while True:
            runnable = (at < end) & ~waiting
            if not runnable.any():
                if not waiting.any():
                    break
                by_block = waiting.reshape(-1, self.threads)
                if (by_block.any(1) != by_block.all(1)).any():
                    raise EmulatorError(f"a part of a block is at a barrier of {self.entry.name}")
                waiting[:] = False
                continue
            index = int(at[runnable].min())
            together = runnable & (at == index)
            others = at[runnable & ~together]
            until = int(others.min()) if len(others) else end
            everybody = bool(together.all())
            while index < until:
                instruction, step = self.entry.instructions[index], steps[index]
                self.executed += 1
                active = None if everybody else together
                if instruction.guard is not None:
                    holds = self.registers[instruction.guard] ^ instruction.negated
                    active = holds if active is None else holds & together
                name = instruction.opcode[0]
                if name in ("bra", "ret", "bar"):
                    at[together] = index + 1
                    moved = together if active is None else active
                    if name == "bar":
                        waiting |= moved
                    else:
                        at[moved] = end if name == "ret" else self.entry.labels[instruction.operands[-1]]
                    break
                if active is None or active.any():
                    step(self, active)
                index += 1
            else:
                at[together] = index
        if self.copies:
            raise EmulatorError(f"{self.entry.name} ended with cp.async under way")


class Emulator:
    """An engine for `FakeDriver`: runs what NVRTC compiles for an architecture.

    Args:
        arch: As 80 or 120.
        sources: Texts of the kernels by file name; the project's own if left out.
    """

    def __init__(self, arch: int, sources: dict[str, str] | None = None) -> None:
        self.arch, self.sources = arch, sources
        self.executed = 0
        self.cubin = b""
        self._entries: dict[str, Entry] = {}
        self._steps: dict[str, list[Step]] = {}
        self._built: dict[tuple[int, torch.dtype], Built] = {}
        self._memory = Memory([])

    def load(self, head_dim: int, dtype: torch.dtype) -> None:
        kind = head_dim, dtype
        if kind not in self._built:
            self._built[kind] = _compile(head_dim, dtype, self.arch, self.sources)
        self.cubin, self._entries, self._steps = self._built[kind]

    def begin(self, buffers: list[tuple[int, int, str, bool]]) -> None:
        self._memory = Memory(buffers)

    def argument_bytes(self, kernel: str) -> int:
        return self._entries[kernel].argument_bytes

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, argument: int) -> None:
        entry = self._entries[kernel]
        whole = np.ctypeslib.as_array((ctypes.c_uint8 * entry.argument_bytes).from_address(argument)).copy()
        blocks = np.stack(np.divmod(np.arange(grid[0] * grid[1]), grid[1]), axis=-1)  # (blocks, 2)
        with np.errstate(all="ignore"):  # threads that are not meant compute nonsense
            for first in range(0, len(blocks), BATCH):
                some = blocks[first : first + BATCH]
                machine = Machine(entry, whole, some, threads, shared, self._memory)
                machine.run(self._steps[kernel])
                self.executed += machine.executed

    def errors(self) -> list[str]:
        return []  # they are raised


Built = tuple[bytes, dict[str, Entry], dict[str, list[Step]]]
"""The cubin, and what its PTX says, kernel by kernel."""


def _decode(program: Program) -> Built:
    entries = read_ptx(program.ptx)
    steps = {name: [decode_any(i) for i in entry.instructions] for name, entry in entries.items()}
    return program.cubin, entries, steps


@cache
def _build_own(head_dim: int, dtype: torch.dtype, arch: int) -> Built:
    return _decode(compile_own(head_dim, dtype, arch))


def _compile(head_dim: int, dtype: torch.dtype, arch: int, sources: dict[str, str] | None) -> Built:
    if sources is None:
        return _build_own(head_dim, dtype, arch)
    return _decode(compile_kernels(head_dim, dtype, arch, sources=sources))

"""Registers, spills and shared memory of the kernels, as NVRTC's assembler reports them.

`python -m cwm_trace.model.attention.resources` prints the table of docs/attention.md, and `--check FILE`
compares it with the one in a file. It needs NVRTC and no GPU.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.cubins import DTYPES, HEAD_DIMS, compile_kernels
from cwm_trace.model.attention.nvrtc import Program, find_nvrtc
from cwm_trace.model.attention.work import TILES

_ARCHITECTURES = (80, 90, 100, 120)
_CEILINGS = {"attend_128": 255, "attend_64": 255, "attend_16": 128, "combine_parts": 64}
"""Registers of a thread at most: what lets so many blocks fit a multiprocessor as kernels.cu asks for."""
_SHARED = {tile.kernel: tile.shared_bytes for tile in TILES} | {"combine_parts": lambda _: 0}
"""Bytes of shared memory of a block, by head_dim."""

_ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
    r"(\d+) bytes spill loads.*?Used (\d+) registers",
    re.DOTALL,
)


class Resources(NamedTuple):
    """What a kernel takes."""

    registers: int  # per thread
    spills: int  # bytes per thread: stack frame, stores and loads


def read_log(log: str) -> dict[str, Resources]:
    """Return what each kernel takes, from the compiler's log."""
    return {
        name: Resources(int(registers), int(stack) + int(stores) + int(loads))
        for name, stack, stores, loads, registers in _ENTRY.findall(log)
    }


def _compile(head_dim: int, dtype: torch.dtype, arch: int) -> Program:
    return compile_kernels(head_dim, dtype, arch, extra=("--ptxas-options=-v",))


def make_table(
    compile_variant: Callable[[int, torch.dtype, int], Program] = _compile,
) -> tuple[str, list[str]]:
    """Compile all variants for all architectures.

    Returns:
        The table as Markdown, and what is wrong with the kernels: spills, too many registers.

    Raises:
        CwmTraceError: NVRTC is missing or fails.
    """
    faults = []
    lines = [
        f"| NVRTC {find_nvrtc().version} | head_dim | shared memory, bytes | "
        + " | ".join(f"sm_{arch}" for arch in _ARCHITECTURES)
        + " |",
        "|---|---|---|" + "---|" * len(_ARCHITECTURES),
    ]
    for head_dim in HEAD_DIMS:
        found = {
            (arch, dtype): read_log(compile_variant(head_dim, dtype, arch).log)
            for arch in _ARCHITECTURES
            for dtype in DTYPES
        }
        for kernel, ceiling in _CEILINGS.items():
            cells = []
            for arch in _ARCHITECTURES:
                both = [found[arch, dtype][kernel] for dtype in DTYPES]
                cells.append(" · ".join(str(taken.registers) for taken in both))
                for dtype, taken in zip(DTYPES, both, strict=True):
                    name = f"{kernel}, head_dim {head_dim}, {str(dtype)[6:]}, sm_{arch}"
                    if taken.spills:
                        faults.append(f"{name} spills {taken.spills} bytes")
                    if taken.registers > ceiling:
                        faults.append(f"{name} takes {taken.registers} registers of {ceiling}")
            lines.append(f"| `{kernel}` | {head_dim} | {_SHARED[kernel](head_dim):,} | {' | '.join(cells)} |")
    return "\n".join(lines), faults


def main() -> None:
    """Print the table, or compare it; exit code 1 if a kernel spills or the table is another."""
    parser = argparse.ArgumentParser(description="Registers of the attention kernels, bf16 · fp16.")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with the table in this file")
    arguments = parser.parse_args()
    try:
        table, faults = make_table()
    except CwmTraceError as error:
        print(f"cwm-trace: {error}", file=sys.stderr)
        sys.exit(2)
    print(table)
    if arguments.check and table not in arguments.check.read_text("utf-8"):
        faults.append(f"{arguments.check} has another table")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

"""Building the kernels, and the cache of what was built: `~/.cache/cwm-trace/cubins` (or `$XDG_CACHE_HOME`).

A file is named after a hash of sources, options and compiler version, so a change of any of them builds anew.
It begins with a digest of its contents: a damaged one is built again. Files are replaced whole, never written
in place, so processes that build at the same time do no harm.
"""

from __future__ import annotations

import hashlib
import logging
import os
from functools import cache
from pathlib import Path

import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import make_folder, write_whole
from cwm_trace.model.attention.nvrtc import Nvrtc, Program, find_nvrtc

SOURCES = Path(__file__).parent / "csrc"
MAIN = "kernels.cu"
HEAD_DIMS = (32, 64, 128)
DTYPES = (torch.bfloat16, torch.float16)

log = logging.getLogger("cwm_trace.model.attention")


@cache
def read_sources() -> dict[str, str]:
    """Return the kernels' sources by file name."""
    return {path.name: path.read_text("utf-8") for path in sorted(SOURCES.glob("*.cu*"))}


def compile_options(head_dim: int, dtype: torch.dtype, arch: int) -> list[str]:
    """Return NVRTC's options for one variant of the kernels; `arch` as 80 or 120."""
    return [
        f"--gpu-architecture=sm_{arch}",
        "-std=c++17",
        f"-DCWM_HEAD_DIM={head_dim}",
        f"-DCWM_FP16={int(dtype == torch.float16)}",
    ]


def compile_kernels(
    head_dim: int,
    dtype: torch.dtype,
    arch: int,
    nvrtc: Nvrtc | None = None,
    sources: dict[str, str] | None = None,
    extra: tuple[str, ...] = (),
) -> Program:
    """Compile one variant of the kernels, or of other `sources`, past the cache."""
    options = [*compile_options(head_dim, dtype, arch), *extra]
    return (nvrtc or find_nvrtc()).compile(MAIN, sources or read_sources(), options)


def cache_folder() -> Path:
    """Return where cubins are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cwm-trace" / "cubins"


def build_cubin(head_dim: int, dtype: torch.dtype, capability: int) -> bytes:
    """Return the cubin of one variant for a GPU, from the cache if it is there.

    Args:
        head_dim: 32, 64 or 128.
        dtype: bfloat16 or float16.
        capability: Of the GPU, as 80 or 120.

    Raises:
        CwmTraceError: NVRTC is missing, does not know the GPU, or fails.
    """
    nvrtc = find_nvrtc()
    arch = _choose_arch(capability, nvrtc)
    options = compile_options(head_dim, dtype, arch)
    texts = [nvrtc.version, *options, *(f"{name}\n{text}" for name, text in read_sources().items())]
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]
    path = cache_folder() / f"{key}.cubin"
    cubin = _read(path)
    if cubin is None:
        cubin = compile_kernels(head_dim, dtype, arch, nvrtc).cubin
        _write(path, cubin)
    return cubin


def _choose_arch(capability: int, nvrtc: Nvrtc) -> int:
    """Return the newest architecture whose cubins the GPU runs: its own major version, no later minor."""
    fitting = [a for a in nvrtc.architectures() if a // 10 == capability // 10 and a <= capability]
    if not fitting:
        raise CwmTraceError(
            f"NVRTC {nvrtc.version} does not compile for sm_{capability}: install a newer one"
        )
    return fitting[-1]


def _read(path: Path) -> bytes | None:
    """Return the cubin in a file; None if there is no file or it is damaged."""
    try:
        contents = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("cannot read the kernel cache %s: %s; building again", path, error)
        return None
    digest, cubin = contents[:32], contents[32:]
    if hashlib.sha256(cubin).digest() != digest:
        log.warning("the kernel cache %s is damaged; building again", path)
        return None
    return cubin


def _write(path: Path, cubin: bytes) -> None:
    try:
        make_folder(path.parent)
        write_whole(path, hashlib.sha256(cubin).digest() + cubin, shared=True)
    except CwmTraceError as error:
        log.warning("%s: every process builds them again", error)

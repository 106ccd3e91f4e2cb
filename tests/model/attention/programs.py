"""What NVRTC made of the project's kernels, kept on disk: several tests want the same two dozen variants."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache

import torch

from cwm_trace.model.attention.cubins import compile_kernels, compile_options, read_sources
from cwm_trace.model.attention.nvrtc import Program, find_nvrtc
from tests.model.attention.simulator import BUILD


@cache
def compile_own(head_dim: int, dtype: torch.dtype, arch: int) -> Program:
    options = compile_options(head_dim, dtype, arch)
    texts = [find_nvrtc().version, *options, *read_sources().values()]
    path = BUILD / f"{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        return Program(bytes.fromhex(kept["cubin"]), kept["ptx"], kept["log"])
    program = compile_kernels(head_dim, dtype, arch, extra=("--ptxas-options=-v",))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump({"cubin": program.cubin.hex(), "ptx": program.ptx, "log": program.log}, file)
    os.replace(temporary, path)
    return program

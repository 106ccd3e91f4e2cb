"""Running a case through the kernels in an engine."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cwm_trace.model.attention.check.cases import Case, find_faults
from cwm_trace.model.attention.interval import attend_segments
from tests.model.attention.emulator import Emulator
from tests.model.attention.fake_driver import EmulatedKernels, Engine, installed
from tests.model.attention.simulator import Simulator


@dataclass
class Run:
    """What came out, and what was wrong on the way."""

    out: Tensor
    lse: Tensor
    errors: list[str]
    bank_conflicts: int


def run_case(case: Case, engine: Engine, capability: int = 90) -> Run:
    kernels = EmulatedKernels(engine, capability)
    with installed(kernels):
        out, lse = attend_segments(*case.to("cpu"))
    assert kernels.steps == 1, "attention took another way"
    conflicts = engine.statistics().bank_conflicts if isinstance(engine, Simulator) else 0
    return Run(out, lse, kernels.errors, conflicts)


def simulate(case: Case, seed: int = 1) -> Run:
    return run_case(case, Simulator(seed))


def emulate(case: Case, arch: int) -> Run:
    return run_case(case, Emulator(arch), arch)


def faults_of(case: Case, run: Run, expected: tuple[Tensor, Tensor] | None = None) -> list[str]:
    """Return all that is wrong with a run: checks, bank conflicts, numbers."""
    conflicts = [f"{run.bank_conflicts} bank conflicts"] if run.bank_conflicts else []
    return run.errors + conflicts + find_faults(case, run.out, run.lse, expected)

"""Every fault that is put into the kernels is found, and those that are none are not."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.check.cases import Case, expect
from cwm_trace.model.attention.check.draw import draw_case
from cwm_trace.model.attention.cubins import SOURCES, read_sources
from cwm_trace.model.attention.schedule import Schedule
from cwm_trace.model.attention.work import TILES
from tests.effort import rest_in_ci
from tests.model.attention.emulator import Emulator
from tests.model.attention.mutants import ASSEMBLY, SOURCE, Mutant
from tests.model.attention.requirements import needs_nvrtc, needs_simulator
from tests.model.attention.runs import faults_of, run_case
from tests.model.attention.simulator import Simulator

SMALL, MIDDLE, LARGE = TILES
USES = (
    (21, "branches", (LARGE, SMALL), 64),
    (11, "branches", (LARGE, SMALL), 64),
    (7, "prefill", (MIDDLE,), None),
    (6, "pages", (SMALL,), None),
    (19, "ring", (SMALL,), None),
    (15, "ring", (MIDDLE,), None),
    (2, "pages", (LARGE,), None),
    (14, "ring", (SMALL,), None),
    (17, "branches", (MIDDLE, MIDDLE), None),
)
"""Seed, kind, kernels and split of the cases that every mutant must get through to live."""


@cache
def cases(head_dim: int) -> list[tuple[Case, tuple[Tensor, Tensor]]]:
    drawn = []
    for seed, kind, tiles, split in USES:
        case = draw_case(seed, kind, head_dim, torch.bfloat16, most_tokens=60)
        case.schedule = Schedule(case.schedule.plans, case.schedule.page_slots, tiles, split)
        drawn.append((case, expect(case)))
    return drawn


def find(mutant: Mutant, engine: Simulator | Emulator) -> list[str]:
    """Return how a mutant was found: the first case's faults."""
    for case, expected in cases(mutant.head_dim):
        try:
            faults = faults_of(case, run_case(case, engine), expected)
        except (AssertionError, CwmTraceError) as error:  # the emulator's checks; or it does not compile
            return [str(error) or type(error).__name__]
        if faults:
            return faults
    return []


def first_of_each_kind(kinds: dict[str, list[Mutant]]) -> list[ParameterSet]:
    """Return all mutants as parameters; the others of a kind are for `.ci/run`."""
    ranked = sorted((at, mutant.name, mutant) for kind in kinds.values() for at, mutant in enumerate(kind))
    return rest_in_ci([mutant for *_, mutant in ranked], keep=len(kinds))


@needs_simulator
@pytest.mark.parametrize("mutant", first_of_each_kind(SOURCE), ids=lambda mutant: mutant.name)
def test_faults_in_the_source(mutant: Mutant, tmp_path: Path) -> None:
    sources = tmp_path / "csrc"
    shutil.copytree(SOURCES, sources)
    (sources / mutant.file).write_text(mutant.apply((SOURCES / mutant.file).read_text()))
    faults = find(mutant, Simulator(3, sources, "-O0"))
    assert bool(faults) is not bool(mutant.equivalent), faults


@needs_nvrtc
@pytest.mark.parametrize("mutant", first_of_each_kind(ASSEMBLY), ids=lambda mutant: mutant.name)
def test_faults_in_the_assembly(mutant: Mutant) -> None:
    sources = read_sources()
    changed = sources | {mutant.file: mutant.apply(sources[mutant.file])}
    faults = find(mutant, Emulator(80, changed))
    assert bool(faults) is not bool(mutant.equivalent), faults


@needs_simulator
@pytest.mark.parametrize("head_dim", [32, 64])
def test_nothing_is_found_in_the_kernels_as_they_are(head_dim: int) -> None:
    assert find(Mutant("none", "", "", "", head_dim=head_dim), Simulator(3)) == []


def test_there_are_enough_mutants_and_no_two_are_the_same() -> None:
    mutants = [mutant for kinds in (SOURCE, ASSEMBLY) for kind in kinds.values() for mutant in kind]
    assert sum(not mutant.equivalent for mutant in mutants) >= 60
    assert len({(m.file, m.old, m.new, m.which, m.head_dim) for m in mutants}) == len(mutants)

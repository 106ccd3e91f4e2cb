"""The kernels' source, run by the simulator: against float64, and nothing that it checks is wrong."""

from __future__ import annotations

import pytest
import torch

from cwm_trace.model.attention.check.cases import expect
from cwm_trace.model.attention.check.draw import KINDS, draw_case
from cwm_trace.model.attention.schedule import Schedule
from cwm_trace.model.attention.work import TILES
from tests.effort import rest_in_ci
from tests.model.attention.requirements import needs_simulator
from tests.model.attention.runs import faults_of, simulate

pytestmark = needs_simulator
CASES, MORE_CASES, SHARE = 300, 5_000, 15


def check_cases(first: int, count: int) -> None:
    for seed in range(first, first + count):
        case = draw_case(seed)
        run, other = simulate(case, seed + 1), simulate(case, seed + 100_001)  # another order of threads
        assert faults_of(case, run) == [], case.name
        assert torch.equal(run.out, other.out), case.name
        assert torch.equal(run.lse, other.lse), case.name


@pytest.mark.parametrize("first", rest_in_ci(range(0, CASES, SHARE)))
def test_random_cases(first: int) -> None:
    check_cases(first, SHARE)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(CASES, CASES + MORE_CASES, 100))
def test_many_random_cases(first: int) -> None:
    check_cases(first, 100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head_dim", [32, 64, 128])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_use_in_every_variant(kind: str, head_dim: int, dtype: torch.dtype) -> None:
    case = draw_case(7, kind, head_dim, dtype, most_tokens=60)
    assert faults_of(case, simulate(case)) == []


@pytest.mark.parametrize("kind", ["prefill", "branches"])
def test_results_do_not_depend_on_tiles_and_splits(kind: str) -> None:
    case = draw_case(3, kind, 64, torch.bfloat16)
    expected = expect(case)
    outs = []
    for tile in TILES:
        for split in (64, 128, 1 << 20):
            case.schedule = Schedule(case.schedule.plans, (), [tile] * len(case.stores), split)
            run = simulate(case)
            assert faults_of(case, run, expected) == [], (tile, split)
            outs.append(run.out.float())
    assert max(float((out - outs[0]).abs().max()) for out in outs) <= 2.0**-7 * 4


@pytest.mark.parametrize("repeats", rest_in_ci([20, 200]))
def test_repeats_have_the_same_bits(repeats: int) -> None:
    case = draw_case(11, "branches", 32, torch.bfloat16, most_tokens=24)
    first = simulate(case, 1)
    for seed in range(2, repeats + 1):
        run = simulate(case, seed)
        assert torch.equal(run.out, first.out)
        assert torch.equal(run.lse, first.lse)


def test_branches_equal_each_branch_alone() -> None:
    case = draw_case(5, "branches", 64, torch.bfloat16, most_tokens=40)
    shared, private = case.schedule.plans
    together = simulate(case)
    for branch in range(shared.tokens):
        one = slice(branch, branch + 1)
        plans = [type(p)(p.store[one], p.lo[one], p.hi[one], p.capacity) for p in (shared, private)]
        case_of_one = draw_case(5, "branches", 64, torch.bfloat16, most_tokens=40)
        case_of_one.q, case_of_one.schedule = case.q[one], Schedule(plans)
        alone = simulate(case_of_one)
        assert faults_of(case_of_one, alone) == []
        assert float((alone.out - together.out[one]).abs().max()) <= 2.0**-7 * 4
        assert torch.allclose(alone.lse, together.lse[one], atol=1e-4)
